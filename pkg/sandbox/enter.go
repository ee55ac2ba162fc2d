package sandbox

import (
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Enter permanently limits this process to the system calls of the role and to its memory, time and
// descriptors. Any other system call kills the process, and so does too much memory.
func (r Role) Enter() error {
	if r.Programs {
		return errPrograms
	}
	// Go opens its epoll descriptor at the first timer, which may be one of the garbage collector.
	time.Sleep(time.Nanosecond)
	// setFilter locks a thread, for which Go needs another one at the first time.
	runtime.LockOSThread()
	runtime.UnlockOSThread()
	if err := startThreads(); err != nil {
		return err
	}
	if err := r.setLimits(); err != nil {
		return err
	}
	return r.setFilter()
}

// baseMemory is what a Go program maps besides the memory that the runtime reports: the index of
// its heap, 32 MiB, and the stacks of its threads.
const baseMemory = 48 << 20

func (r Role) setLimits() error {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	limits := map[int]uint64{
		unix.RLIMIT_CORE:   0,
		unix.RLIMIT_DATA:   memory.Sys + baseMemory + r.Memory<<20,
		unix.RLIMIT_NOFILE: r.Descriptors,
	}
	if r.Descriptors == 0 {
		limits[unix.RLIMIT_NOFILE] = uint64(highestDescriptor() + 1)
	}
	if r.CPU > 0 {
		limits[unix.RLIMIT_CPU] = r.CPU
	}
	if !r.Threads {
		limits[unix.RLIMIT_NPROC] = 0
	}
	for resource, limit := range limits {
		var current unix.Rlimit
		if err := unix.Getrlimit(resource, &current); err != nil {
			return fmt.Errorf("limit of resource %d: %w", resource, err)
		}
		limit = min(limit, current.Max)
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
			return fmt.Errorf("limit of resource %d: %w", resource, err)
		}
	}
	return nil
}

// highestDescriptor returns the highest open file descriptor. A role cannot list /proc/self/fd.
func highestDescriptor() int {
	highest := 2
	for fd := highest; fd < 1024; fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			highest = fd
		}
	}
	return highest
}
