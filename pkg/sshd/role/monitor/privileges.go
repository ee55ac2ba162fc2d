package monitor

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"lkt/sshd/setup"
)

// own are the capabilities of the monitor: it ends speakers, and starts sessions as their users.
const own = 1<<unix.CAP_KILL | 1<<unix.CAP_SETGID | 1<<unix.CAP_SETUID

// Exec replaces this process by a monitor, which keeps files open. extra are capabilities for
// sessions of root. It returns only on error.
func Exec(s setup.Setup, files ...int) error {
	environment, err := s.Environment()
	if err != nil {
		return err
	}
	if err := unix.CloseRange(3, 1<<32-1, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close_range: %w", err)
	}
	for _, fd := range files {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return fmt.Errorf("keep file descriptor %d: %w", fd, err)
		}
	}
	// execve ends the other threads.
	runtime.LockOSThread()
	if err := setCapabilities(own | s.Extra); err != nil {
		return err
	}
	return os.NewSyscallError("execve", syscall.Exec("/proc/self/exe", []string{setup.Monitor}, environment))
}

// setCapabilities gives this thread, and what it executes as root, exactly the capabilities of the
// bit set: within no_new_privs, execve adds none.
func setCapabilities(set uint32) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("ambient capabilities: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{{Effective: set, Permitted: set}}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("capabilities: %w\n  fix: give the container the capabilities that the package's build.yml lists", err)
	}
	return nil
}

// setGroups sets the supplementary groups of this thread only.
func setGroups(groups []uint32) error {
	_, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&groups[0])), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
