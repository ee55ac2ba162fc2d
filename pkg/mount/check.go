package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lkt/storage/tool"
)

const (
	checkTime = 5 * time.Minute
	// corrected is e2fsck's exit status, a set of bits, if all errors were corrected.
	corrected = 1 | 2
)

// check replays the journal of an ext file system, and repairs it if it was not unmounted cleanly
// or had errors, as far as e2fsck does without questions. It returns an error if others remain, or
// if it takes longer than limit. It does not check read-only devices and those in use.
func (s source) check(limit time.Duration) error {
	if limit <= 0 || !strings.HasPrefix(s.filesystem.Type, "ext") || !isCheckable(s.path) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	output, err := tool.Output(ctx, []string{"/usr/sbin/e2fsck", "-p", s.path}, s.path)
	if ctx.Err() != nil {
		return fmt.Errorf("the check of %s did not end within %v\n  fix: set -check to more seconds", s.path, limit)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() && exit.ExitCode()&^corrected == 0 {
		for line := range bytes.Lines(bytes.TrimSpace(output)) {
			fmt.Printf("mountie: e2fsck: %s\n", bytes.TrimSpace(line))
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s has errors that need a decision: %w: %s\n  fix: attach it to another machine and run e2fsck",
			s.path, err, bytes.TrimSpace(output))
	}
	return nil
}

// isCheckable reports whether a device can be opened for writing and is not in use.
func isCheckable(path string) bool {
	file, err := os.OpenFile(path, os.O_RDWR|unix.O_EXCL|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer file.Close()
	readOnly, err := unix.IoctlGetInt(int(file.Fd()), unix.BLKROGET)
	return err == nil && readOnly == 0
}
