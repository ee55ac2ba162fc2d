// Command docker-start is the first process of Docker's container. It creates a cgroup tree, starts
// containerd, and then dockerd. When one of the two exits, the container ends with all its
// containers.
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"
)

const (
	cgroupRoot = "/sys/fs/cgroup"
	containerd = "/usr/bin/containerd"
	dockerd    = "/usr/sbin/dockerd"
	socket     = "/run/containerd/containerd.sock"
	// startTimeout is how long containerd may take to answer.
	startTimeout = 2 * time.Minute
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
	if slices.ContainsFunc(args, isQuestion) {
		return 0, fmt.Errorf("%s: %w", dockerd, syscall.Exec(dockerd, append([]string{dockerd}, args...), os.Environ()))
	}
	// A thread's namespaces are inherited by the processes that it starts.
	runtime.LockOSThread()
	if err := mountCgroups(); err != nil {
		return 0, err
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	containerdPID, err := start(containerd)
	if err != nil {
		return 0, err
	}
	if err := waitForContainerd(); err != nil {
		return 0, err
	}
	daemon, err := start(dockerd, append([]string{"--containerd=" + socket}, args...)...)
	if err != nil {
		return 0, err
	}
	go func() {
		// The daemon stops its containers first.
		for range ended {
			_ = syscall.Kill(daemon, syscall.SIGTERM)
		}
	}()
	return reap(containerdPID, daemon)
}

// isQuestion reports whether dockerd answers an argument and ends, without containerd.
func isQuestion(arg string) bool {
	switch arg {
	case "--help", "-h", "--validate", "--version", "-v":
		return true
	}
	return false
}

// mountCgroups mounts this container's own cgroup tree. It moves the process into a child cgroup,
// because only a cgroup without processes can enable controllers for its children.
func mountCgroups() error {
	if err := syscall.Unshare(syscall.CLONE_NEWCGROUP); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	// The existing mount shows the cgroups of the machine, and cgroup2 cannot be mounted over
	// itself.
	if err := syscall.Unmount(cgroupRoot, 0); err != nil {
		return os.NewSyscallError("umount", err)
	}
	const flags = syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC
	if err := syscall.Mount("cgroup2", cgroupRoot, "cgroup2", flags, ""); err != nil {
		return os.NewSyscallError("mount", err)
	}
	return divide(cgroupRoot)
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

func waitForContainerd() error {
	for end := time.Now().Add(startTimeout); ; time.Sleep(50 * time.Millisecond) {
		connection, err := net.Dial("unix", socket)
		if err == nil {
			return connection.Close()
		}
		if time.Now().After(end) {
			return fmt.Errorf("containerd does not answer: %w", err)
		}
	}
}

// reap reaps all children, including orphans, until one of the two programs exits.
func reap(containerdPID, daemon int) (status int, err error) {
	for {
		var wait syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &wait, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return 0, os.NewSyscallError("wait4", err)
		case pid == daemon:
			return exitCode(wait), nil
		case pid == containerdPID:
			return 0, fmt.Errorf("containerd exited with status %d", exitCode(wait))
		}
	}
}

func exitCode(wait syscall.WaitStatus) int {
	if wait.Signaled() {
		return 128 + int(wait.Signal())
	}
	return wait.ExitStatus()
}
