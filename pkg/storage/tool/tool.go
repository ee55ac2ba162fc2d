// Package tool runs external programs.
package tool

import (
	"fmt"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// Run runs a program, without capabilities if unprivileged.
func Run(command []string, unprivileged bool) error {
	result := make(chan error)
	go func() {
		// The thread never regains its capabilities: it ends with the goroutine.
		runtime.LockOSThread()
		if unprivileged {
			if err := dropCapabilities(); err != nil {
				result <- err
				return
			}
		}
		child := exec.Command(command[0], command[1:]...)
		child.Env = []string{"PATH=/usr/sbin"}
		if output, err := child.CombinedOutput(); err != nil {
			result <- fmt.Errorf("%s: %w: %s", command[0], err, output)
			return
		}
		result <- nil
	}()
	return <-result
}

// dropCapabilities drops all capabilities of this thread. no_new_privs keeps a program that it
// starts as root from regaining them.
func dropCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	return nil
}
