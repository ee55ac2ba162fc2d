// Command docker-start is the first process of Docker's container: it gives it a tree of control groups, starts containerd, and
// dockerd once that answers. When one of the two ends, so does the container, and all containers in it.
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

const (
	groups     = "/sys/fs/cgroup"
	containerd = "/usr/bin/containerd"
	dockerd    = "/usr/sbin/dockerd"
	socket     = "/run/containerd/containerd.sock"
	// How long containerd has until it answers; without it there is nothing to do.
	patience = 2 * time.Minute
)

func main() {
	status, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "docker-start: %v\n", err)
		os.Exit(1)
	}
	os.Exit(status)
}

func run(args []string) (status int, err error) {
	// A namespace is the thread's, and so is that of the processes that it starts.
	runtime.LockOSThread()
	if err := ownGroups(); err != nil {
		return 0, err
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	below, err := start(containerd)
	if err != nil {
		return 0, err
	}
	if err := untilServing(); err != nil {
		return 0, err
	}
	daemon, err := start(dockerd, append([]string{"--containerd=" + socket}, args...)...)
	if err != nil {
		return 0, err
	}
	go func() {
		// The daemon ends its containers first.
		for range ended {
			_ = syscall.Kill(daemon, syscall.SIGTERM)
		}
	}()
	return reap(below, daemon)
}

// ownGroups mounts the control groups of this container, and nobody else's, moves the process into one of its own, since only
// a group without processes can divide what it has, and lets all be divided.
func ownGroups() error {
	if err := syscall.Unshare(syscall.CLONE_NEWCGROUP); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	// What is there shows the groups of all, and the same cannot be mounted over it.
	if err := syscall.Unmount(groups, 0); err != nil {
		return os.NewSyscallError("umount", err)
	}
	const flags = syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC
	if err := syscall.Mount("cgroup2", groups, "cgroup2", flags, ""); err != nil {
		return os.NewSyscallError("mount", err)
	}
	return divide(groups)
}

func start(program string, args ...string) (pid int, err error) {
	pid, err = syscall.ForkExec(program, append([]string{program}, args...), &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{0, 1, 2},
	})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", program, err)
	}
	return pid, nil
}

func untilServing() error {
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		connection, err := net.Dial("unix", socket)
		if err == nil {
			return connection.Close()
		}
		if time.Now().After(end) {
			return fmt.Errorf("containerd does not answer: %w", err)
		}
	}
}

// reap waits for all that is left to this process, until one of the two ends.
func reap(below, daemon int) (status int, err error) {
	for {
		var how syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &how, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return 0, os.NewSyscallError("wait4", err)
		case pid == daemon:
			return statusOf(how), nil
		case pid == below:
			return 0, fmt.Errorf("containerd ended with %d", statusOf(how))
		}
	}
}

func statusOf(how syscall.WaitStatus) int {
	if how.Signaled() {
		return 128 + int(how.Signal())
	}
	return how.ExitStatus()
}
