// Package tool runs external programs.
package tool

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"lkt/sandbox"
)

// Run runs a program, confined to a disk if that is not "".
func Run(command []string, disk string) error {
	output, err := Output(context.Background(), command, disk)
	if err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return nil
}

// endTime is how long a program may take to end after SIGTERM.
const endTime = 10 * time.Second

// Output runs a program and returns what it prints. It ends the program when ctx ends. If disk is
// not "", the program has no capabilities, writes only that disk, and opens no other.
func Output(ctx context.Context, command []string, disk string) ([]byte, error) {
	type result struct {
		output []byte
		err    error
	}
	results := make(chan result)
	go func() {
		// The thread never regains its capabilities: it ends with the goroutine.
		runtime.LockOSThread()
		if disk != "" {
			if err := confine(disk); err != nil {
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

// confine confines this thread to a disk.
func confine(disk string) error {
	if err := dropCapabilities(); err != nil {
		return err
	}
	programs := []string{"/bin", "/lib", "/lib64", "/sbin", "/usr"}
	return sandbox.RestrictTool(programs, []string{"/dev/urandom", "/etc", "/proc", "/sys"}, disk, "/dev/null")
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
