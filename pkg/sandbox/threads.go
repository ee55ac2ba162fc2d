package sandbox

import (
	"fmt"
	"runtime"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// startThreads starts the threads that Go will need, because the filter may forbid new ones. A
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
	waitForThreads()
	return nil
}

// waitForThreads waits until the number of threads has not changed for ten milliseconds.
func waitForThreads() {
	for before, same := 0, 0; same < 10; {
		_ = unix.Nanosleep(&unix.Timespec{Nsec: 1e6}, nil)
		threads, _ := runtime.ThreadCreateProfile(nil)
		if same++; threads != before {
			before, same = threads, 0
		}
	}
}
