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

// sacrifice runs a part of this program in a child process that the kernel kills first when the
// container exceeds its memory limit.
func sacrifice(part string) error {
	c := exec.Command("/proc/self/exe", part)
	if err := c.Start(); err != nil {
		return err
	}
	_ = write(fmt.Sprintf("/proc/%d/oom_score_adj", c.Process.Pid), "1000")
	err := c.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	if status, good := exit.Sys().(syscall.WaitStatus); good && status.Signaled() {
		return stopped("killed")
	}
	return stopped("no room")
}

func eatMemory() {
	const limit = 1 << 30
	for eaten := 0; eaten < limit; eaten += 1 << 20 {
		chunk, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		if err != nil {
			os.Exit(1)
		}
		for i := 0; i < len(chunk); i += 4096 {
			chunk[i] = 1
		}
	}
}
