package sandbox

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data, of the lower half of an argument on little-endian processors.
const (
	dataNumber = 0
	dataArch   = 4
	dataArg2   = 16 + 2*8
	dataArg3   = 16 + 3*8
)

const (
	retKill  = 0x80000000 // SECCOMP_RET_KILL_PROCESS
	retAllow = 0x7fff0000
)

// Enter permanently limits all threads of this process to the system calls of the role. Any other
// call kills the process.
func (r Role) Enter() error {
	arch, err := auditArch()
	if err != nil {
		return err
	}
	// Go opens its epoll descriptor at the first timer, which may be one of the garbage collector.
	time.Sleep(time.Nanosecond)
	if err := startThreads(); err != nil {
		return err
	}
	// no_new_privs belongs to a thread, and the kernel requires it of the one that sets the filter.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	filter := buildFilter(arch, append(append([]string{}, runtimeSyscalls...), r.Syscalls...))
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&program)))
	if errno != 0 || thread != 0 {
		return fmt.Errorf("seccomp: %w, thread %d", errno, thread)
	}
	return nil
}

func auditArch() (uint32, error) {
	switch runtime.GOARCH {
	case "amd64":
		return unix.AUDIT_ARCH_X86_64, nil
	case "arm64":
		return unix.AUDIT_ARCH_AARCH64, nil
	}
	return 0, fmt.Errorf("no seccomp filter for %s", runtime.GOARCH)
}

func buildFilter(arch uint32, names []string) []unix.SockFilter {
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	result := func(code uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: code} }
	equal := func(k uint32, otherwise uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jf: otherwise}
	}
	bits := func(k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: k, Jt: yes, Jf: no}
	}
	filter := []unix.SockFilter{
		load(dataArch), {Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: arch, Jt: 1}, result(retKill), load(dataNumber),
	}
	for _, name := range names {
		if name == "mmap" {
			filter = append(filter, equal(syscallNumbers[name], 6),
				load(dataArg2), bits(unix.PROT_EXEC, 2, 0),
				load(dataArg3), bits(unix.MAP_ANONYMOUS, 1, 0),
				result(retKill), result(retAllow))
			continue
		}
		filter = append(filter, equal(syscallNumbers[name], 1), result(retAllow))
	}
	return append(filter, result(retKill))
}

// startThreads starts the threads that Go will need, because the filter forbids new ones. A
// goroutine blocked in a system call occupies a thread, and the others need another: three are
// enough for one goroutine and the signal handler. Go keeps idle threads.
func startThreads() error {
	const threads = 3
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("pipe: %w", err)
	}
	defer unix.Close(pipe[0])
	var started atomic.Int32
	done := make(chan struct{})
	for range threads {
		go func() {
			var b [1]byte
			started.Add(1)
			_, _ = unix.Read(pipe[0], b[:])
			done <- struct{}{}
		}()
	}
	// Block in a system call too, so that the others get to theirs.
	for started.Load() < threads {
		_ = unix.Nanosleep(&unix.Timespec{Nsec: 1e5}, nil)
	}
	unix.Close(pipe[1])
	for range threads {
		<-done
	}
	return waitForThreads()
}

// waitForThreads waits until the number of threads has not changed for ten milliseconds.
func waitForThreads() error {
	for before, same := 0, 0; same < 10; {
		_ = unix.Nanosleep(&unix.Timespec{Nsec: 1e6}, nil)
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		if same++; len(tasks) != before {
			before, same = len(tasks), 0
		}
	}
	return nil
}
