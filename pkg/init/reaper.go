package main

import (
	"os"
	"os/signal"
	"sync"

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
// after them. path defaults to args[0].
type program struct {
	path  string
	args  []string
	out   *os.File
	extra []*os.File
	sys   *unix.SysProcAttr
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
	return pid, r.register(pid), nil
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
