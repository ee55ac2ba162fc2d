package sandbox

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data. Arguments have 64 bits, lower half first.
const (
	dataNumber    = 0
	dataArch      = 4
	dataArguments = 16
)

const (
	retKill  = 0x80000000 // SECCOMP_RET_KILL_PROCESS
	retErrno = 0x00050000
	retAllow = 0x7fff0000
)

// setFilter permanently limits all threads of this process to the system calls of the role, and
// sets no_new_privs on all. Any other call kills the process.
func (r Role) setFilter() error {
	// no_new_privs belongs to a thread. The kernel requires it of the one that sets the filter, and
	// copies it to the others.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	filter := buildFilter(r.syscalls())
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&program)))
	if errno != 0 || thread != 0 {
		return fmt.Errorf("seccomp: %w, thread %d", errno, thread)
	}
	return nil
}

func (r Role) syscalls() []string {
	names := append([]string{}, runtimeSyscalls...)
	if r.Threads {
		names = append(names, threadSyscalls...)
	}
	return append(names, r.Syscalls...)
}

// buildFilter returns a program that tries one rule after the other. Jumps count from the next
// instruction.
func buildFilter(names []string) []unix.SockFilter {
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	result := func(code uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: code} }
	unequal := func(k uint32, skip int) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jf: uint8(skip)}
	}
	filter := []unix.SockFilter{
		load(dataArch), {Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: auditArch, Jt: 1}, result(retKill),
	}
	for _, name := range names {
		r := rules[name]
		code := uint32(retAllow)
		if r.errno != 0 {
			code = retErrno | uint32(r.errno)
		}
		filter = append(filter, load(dataNumber), unequal(r.number, 3*len(r.checks)+1))
		for i, c := range r.checks {
			filter = append(filter, load(dataArguments+8*c.argument),
				unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: c.mask},
				unequal(c.value, 3*(len(r.checks)-1-i)+1))
		}
		filter = append(filter, result(code))
	}
	return append(filter, result(retKill))
}
