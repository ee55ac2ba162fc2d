// Package tool runs external programs.
package tool

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Run runs a program, without capabilities if unprivileged.
func Run(command []string, unprivileged bool) error {
	output, err := Output(context.Background(), command, unprivileged)
	if err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return nil
}

// endTime is how long a program may take to end after SIGTERM.
const endTime = 10 * time.Second

// Output runs a program, without capabilities if unprivileged, and returns what it prints. It ends
// the program when ctx ends.
func Output(ctx context.Context, command []string, unprivileged bool) ([]byte, error) {
	type result struct {
		output []byte
		err    error
	}
	results := make(chan result)
	go func() {
		// The thread never regains its capabilities: it ends with the goroutine.
		runtime.LockOSThread()
		if unprivileged {
			if err := dropCapabilities(); err != nil {
				results <- result{nil, err}
				return
			}
		}
		child := exec.CommandContext(ctx, command[0], command[1:]...)
		child.Env = []string{"PATH=/usr/sbin"}
		child.Cancel = func() error { return child.Process.Signal(unix.SIGTERM) }
		child.WaitDelay = endTime
		output, err := child.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%s: %w", command[0], err)
		}
		results <- result{output, err}
	}()
	r := <-results
	return r.output, r.err
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
