package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var resources = []attempt{
	{"fill-memory", func() error { return sacrifice("eat") }},
	{"fill-pids", func() error {
		var started []*exec.Cmd
		defer func() {
			for _, c := range started {
				_ = c.Process.Kill()
				_ = c.Wait()
			}
		}()
		for range 2000 {
			c := exec.Command("/proc/self/exe", "sleep")
			if err := c.Start(); err != nil {
				return err
			}
			started = append(started, c)
		}
		return nil
	}},
	{"fill-log", func() error {
		// The log is limited; the test checks the limit, and the logs of others. The results so far
		// must be in the log before.
		time.Sleep(2 * time.Second)
		log := os.Stderr
		service, err := os.OpenFile("/proc/1/fd/2", os.O_WRONLY, 0)
		switch {
		case err == nil:
			defer service.Close()
			log = service
		case os.Getenv("SSH_CONNECTION") != "":
			return err // a login's standard error is not the log
		}
		line := strings.Repeat("x", 199)
		for i := 0; i < 10_000; i++ {
			if _, err := fmt.Fprintln(log, line); err != nil {
				return err
			}
		}
		time.Sleep(3 * time.Second)
		return stopped("written")
	}},
}

// sacrifice runs a part of this program, which begins with expendable, in a child process.
func sacrifice(part string) error {
	err := exec.Command("/proc/self/exe", part).Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	if status, good := exit.Sys().(syscall.WaitStatus); good && status.Signaled() {
		return stopped("killed")
	}
	return stopped("no room")
}

// expendable makes this process the first that the kernel kills when the container exceeds its
// memory limit. The process must do that itself, before it takes any: its parent may be late.
func expendable() {
	if err := write("/proc/self/oom_score_adj", "1000"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// eatMemory maps all at once: the kernel frees the memory of a killed process at once only if no
// thread is in mmap(2). Else it kills another one meanwhile.
func eatMemory() {
	expendable()
	const limit = 1 << 30
	memory, err := unix.Mmap(-1, 0, limit, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		os.Exit(1)
	}
	for i := 0; i < len(memory); i += 4096 {
		memory[i] = 1
	}
}
