package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// errSkipped means that an optional condition does not hold.
var errSkipped = errors.New("no swap")

// condition is a precondition for swap.
type condition struct {
	path string
	// path must be a mount point.
	mounted bool
	// Minimum size in bytes of the file system with path.
	size int64
	// The container fails if the condition does not hold.
	required bool
}

// parseCondition parses part:PATH[:REQUIRED] or partsize:PATH:SIZE[:REQUIRED].
func parseCondition(text string) (condition, error) {
	parts := strings.Split(text, ":")
	var c condition
	var err error
	switch {
	case parts[0] == "part" && (len(parts) == 2 || len(parts) == 3):
		c = condition{path: parts[1], mounted: true, required: len(parts) == 3 && parts[2] == "true"}
	case parts[0] == "partsize" && (len(parts) == 3 || len(parts) == 4):
		c = condition{path: parts[1], required: len(parts) == 4 && parts[3] == "true"}
		c.size, err = parseSize(parts[2])
	default:
		err = fmt.Errorf("invalid condition %q", text)
	}
	if err == nil && !strings.HasPrefix(c.path, "/") {
		err = fmt.Errorf("the path in condition %q must be absolute", text)
	}
	return c, err
}

func (c condition) check() error {
	err := c.holds()
	if err != nil && !c.required {
		return fmt.Errorf("%w: %w", errSkipped, err)
	}
	return err
}

func (c condition) holds() error {
	if c.mounted {
		mounts, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			return err
		}
		return isMounted(string(mounts), c.path)
	}
	var stat unix.Statfs_t
	if err := unix.Statfs(c.path, &stat); err != nil {
		return fmt.Errorf("%s: %w", c.path, err)
	}
	if size := int64(stat.Blocks) * stat.Bsize; size < c.size {
		return fmt.Errorf("the file system of %s has %d bytes, less than %d", c.path, size, c.size)
	}
	return nil
}

// isMounted searches path in mountinfo, whose fifth field is the mount point.
func isMounted(mounts, path string) error {
	// The kernel escapes these characters.
	path = strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`, "\n", `\012`).Replace(path)
	for line := range strings.Lines(mounts) {
		if words := strings.Fields(line); len(words) > 4 && words[4] == path {
			return nil
		}
	}
	return fmt.Errorf("nothing is mounted on %s", path)
}
