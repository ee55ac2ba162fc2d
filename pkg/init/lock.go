package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// lockedArg is the first argument of PID 1 once its mounts are locked. The second one is the
// descriptor of the initramfs, or -1.
const lockedArg = "lkt-mounts-locked"

// lockMounts executes PID 1 again in a mount namespace in which no process can remove the root
// mount or make it writable, whatever its capabilities. It returns only if the kernel has no user
// namespaces.
//
// The lowest mount of each namespace is the writable file system that the kernel unpacks the
// initramfs into. The kernel locks mounts that a namespace copies from one of another user
// namespace, so that they keep hiding what is below (mount_namespaces(7)). Namespaces of containers
// are copies of PID 1's, and pivot_root transfers the lock to their root.
func lockMounts(proc, initramfs *os.File) error {
	defer proc.Close()
	number := -1
	if initramfs != nil {
		number = int(initramfs.Fd())
		if _, err := unix.FcntlInt(initramfs.Fd(), unix.F_SETFD, 0); err != nil {
			return err
		}
	}
	namespace, err := lockedNamespace(proc)
	if err != nil {
		return err
	}
	// Who enters the mount namespace of kernel threads could make this mount writable.
	if err := unix.Unmount("/", unix.MNT_DETACH); err != nil {
		stopBoot(fmt.Errorf("cannot lock the root mount: %w", err))
	}
	// A thread has a mount namespace of its own, and execve keeps that of the calling thread.
	runtime.LockOSThread()
	for _, err := range []error{
		unix.Unshare(unix.CLONE_FS), // setns requires it
		unix.Setns(namespace, unix.CLONE_NEWNS),
		unix.Unshare(unix.CLONE_NEWNS), // copies the mounts, back into the first user namespace
		unix.Close(namespace),
	} {
		if err != nil {
			stopBoot(fmt.Errorf("cannot lock the root mount: %w", err))
		}
	}
	err = syscall.Exec(os.Args[0], []string{os.Args[0], lockedArg, strconv.Itoa(number)}, os.Environ())
	stopBoot(&os.PathError{Op: "execute", Path: os.Args[0], Err: err})
	return nil
}

// lockedRoot reports whether lockMounts has executed this program, and returns the root of the
// initramfs that it was called with.
func lockedRoot(args []string) (initramfs *os.File, isLocked bool) {
	if len(args) != 3 || args[1] != lockedArg {
		return nil, false
	}
	number, err := strconv.Atoi(args[2])
	if err != nil || number < 0 {
		return nil, true
	}
	unix.CloseOnExec(number)
	return os.NewFile(uintptr(number), "/"), true
}

// lockedNamespace returns a descriptor of a copy of this mount namespace that belongs to another
// user namespace.
func lockedNamespace(proc *os.File) (fd int, err error) {
	runtime.LockOSThread() // the thread that traces
	defer runtime.UnlockOSThread()
	// The process stops before it runs anything.
	child, err := syscall.ForkExec(os.Args[0], os.Args[:1], &syscall.ProcAttr{
		Sys: &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, Ptrace: true},
	})
	if err != nil {
		return -1, fmt.Errorf("create a user namespace: %w", err)
	}
	fd, err = unix.Openat(int(proc.Fd()), fmt.Sprintf("%d/ns/mnt", child), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	_ = unix.Kill(child, unix.SIGKILL)
	for waiting := true; waiting; {
		var status unix.WaitStatus
		_, failed := unix.Wait4(child, &status, unix.WALL, nil)
		waiting = failed == unix.EINTR || failed == nil && status.Stopped()
	}
	return fd, err
}
