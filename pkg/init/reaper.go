package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// reaper waits for all children, including orphans that the kernel has assigned to PID 1. os/exec's
// own wait would race with it.
type reaper struct {
	mutex   sync.Mutex
	waiting map[int]chan unix.WaitStatus
}

func newReaper() *reaper {
	r := &reaper{waiting: map[int]chan unix.WaitStatus{}}
	exited := make(chan os.Signal, 1)
	signal.Notify(exited, unix.SIGCHLD)
	go func() {
		for range exited {
			r.reap()
		}
	}()
	return r
}

// program is a program to run. out is standard output and error, and extra are the descriptors
// after them. oomScore is the preference of the OOM killer (proc_pid_oom_score_adj(5)).
type program struct {
	path     string
	args     []string
	out      *os.File
	extra    []*os.File
	sys      *unix.SysProcAttr
	oomScore int
}

// start runs a program and sends its exit status to done.
func (r *reaper) start(args []string, out *os.File, extra ...*os.File) (pid int, done <-chan unix.WaitStatus, err error) {
	return r.startAs(program{path: args[0], args: args, out: out, extra: extra, sys: &unix.SysProcAttr{Setsid: true}})
}

func (r *reaper) startAs(p program) (pid int, done <-chan unix.WaitStatus, err error) {
	null, err := os.Open("/dev/null")
	if err != nil {
		return 0, nil, err
	}
	defer null.Close()
	// Held until the child is registered; otherwise its exit could be reaped first.
	r.mutex.Lock()
	defer r.mutex.Unlock()
	process, err := os.StartProcess(p.path, p.args, &os.ProcAttr{
		Dir: "/", Env: environment, Files: append([]*os.File{null, p.out, p.out}, p.extra...), Sys: p.sys,
	})
	if err != nil {
		return 0, nil, err
	}
	pid = process.Pid
	_ = process.Release()
	if p.oomScore != 0 {
		// Its number is its own until it is reaped.
		score := strconv.Itoa(p.oomScore)
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte(score), 0); err != nil {
			step("%s: %v", p.args[0], err)
		}
	}
	return pid, r.register(pid), nil
}

// healthName is the name under which PID 1 starts its own program to check that it can.
const healthName = "health"

// canStart returns an error unless PID 1 can start a program and collect its status.
func canStart(children *reaper) error {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	_, done, err := children.startAs(program{
		path: "/proc/self/exe", args: []string{healthName}, out: null, sys: &unix.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return fmt.Errorf("cannot start a program: %w", err)
	}
	return statusError(<-done)
}

// commandTime is how long a command of the container runtime may take.
const commandTime = 2 * time.Minute

// run runs a program to its end, and kills it after commandTime.
func (r *reaper) run(out *os.File, args ...string) error {
	pid, done, err := r.start(args, out)
	if err != nil {
		return err
	}
	select {
	case status := <-done:
		return statusError(status)
	case <-time.After(commandTime):
		_ = unix.Kill(pid, unix.SIGKILL)
		return fmt.Errorf("%s %s did not end within %v", args[0], args[1], commandTime)
	}
}

// watch returns a channel for the exit status of a process that is, or will become, a child of PID
// 1.
func (r *reaper) watch(pid int) <-chan unix.WaitStatus {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.register(pid)
}

func (r *reaper) register(pid int) <-chan unix.WaitStatus {
	done := make(chan unix.WaitStatus, 1)
	r.waiting[pid] = done
	return done
}

func (r *reaper) reap() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if done, found := r.waiting[pid]; found {
			delete(r.waiting, pid)
			done <- status
		}
	}
}

var environment = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/run"}
