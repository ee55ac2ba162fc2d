package monitor

import (
	"fmt"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"lkt/sshd/setup"
	"lkt/sshd/users"
)

// startSession starts the session process as the user, with the capabilities of the bit set. It and
// its programs can have no others: no_new_privs limits what root gets from execve too.
func startSession(s setup.Setup, capabilities uint32, speaker, null int) (int, error) {
	environment, err := s.Environment()
	if err != nil {
		return 0, err
	}
	type result struct {
		pid int
		err error
	}
	done := make(chan result)
	go func() {
		// The thread has the user's privileges, and ends with this goroutine.
		runtime.LockOSThread()
		err := becomeUser(s.User, capabilities)
		var pid int
		if err == nil {
			pid, err = syscall.ForkExec("/proc/self/exe", []string{setup.Session}, &syscall.ProcAttr{
				Dir: "/", Env: environment,
				Files: []uintptr{uintptr(null), 1, 2, uintptr(speaker)},
			})
		}
		done <- result{pid, err}
	}()
	r := <-done
	if r.err != nil {
		return 0, fmt.Errorf("session: %w", r.err)
	}
	return r.pid, nil
}

// becomeUser changes user, groups and capabilities of this thread only.
func becomeUser(u users.User, capabilities uint32) error {
	if err := setGroups(u.AllGroups()); err != nil {
		return fmt.Errorf("groups: %w", err)
	}
	gid, uid := uintptr(u.GID), uintptr(u.UID)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, gid, gid, gid); errno != 0 {
		return fmt.Errorf("group: %w", errno)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid); errno != 0 {
		return fmt.Errorf("user: %w", errno)
	}
	return setCapabilities(capabilities)
}
