// Package tool runs programs of others.
package tool

import (
	"fmt"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// Run runs a program, without any capability if it is unprivileged.
func Run(command []string, unprivileged bool) error {
	result := make(chan error)
	go func() {
		// What this thread gives up it does not get back: it ends with the goroutine.
		runtime.LockOSThread()
		if unprivileged {
			if err := giveUp(); err != nil {
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

// giveUp takes all capabilities from this thread. With no_new_privs, a program that it starts does not get them back for
// being root.
func giveUp() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("give up capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	return nil
}
