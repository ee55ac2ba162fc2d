package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// errNotNow says that a condition does not hold which need not hold.
var errNotNow = errors.New("there is no swap")

// condition has to hold for there to be swap.
type condition struct {
	path string
	// Whether path has to be where a file system is mounted.
	mounted bool
	// As many bytes the file system of path has to have.
	size int64
	// Whether the container fails without.
	required bool
}

// parseCondition reads part:PATH[:REQUIRED] and partsize:PATH:SIZE[:REQUIRED].
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
		err = fmt.Errorf("%q is no condition", text)
	}
	if err == nil && !strings.HasPrefix(c.path, "/") {
		err = fmt.Errorf("%q is about no absolute path", text)
	}
	return c, err
}

func (c condition) check() error {
	err := c.holds()
	if err != nil && !c.required {
		return fmt.Errorf("%w: %w", errNotNow, err)
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
		return fmt.Errorf("the file system of %s has %d bytes, not %d", c.path, size, c.size)
	}
	return nil
}

// isMounted looks for a path in the kernel's list, where the fifth word is that of a mount.
func isMounted(mounts, path string) error {
	// The kernel's way to write what would end the word.
	path = strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`, "\n", `\012`).Replace(path)
	for line := range strings.Lines(mounts) {
		if words := strings.Fields(line); len(words) > 4 && words[4] == path {
			return nil
		}
	}
	return fmt.Errorf("nothing is mounted on %s", path)
}
