package bundle

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"lkt/init/confine"
)

// target is a directory that stays the same one when a container replaces a directory on its path.
type target interface {
	Path() string
	Close()
}

// inRoot is a descriptor of a directory in a container's root.
type inRoot int

func (d inRoot) Path() string { return fmt.Sprintf("/proc/self/fd/%d", int(d)) }
func (d inRoot) Close()       { _ = unix.Close(int(d)) }

// openTarget opens a directory, and makes it if it does not exist. An absolute path is one of the
// machine, which must not lead through links that a container could have made. A relative path is
// one of the container's root, in which its links are resolved.
func openTarget(dir, path string) (target, error) {
	if filepath.IsAbs(path) {
		return confine.MakeDirectory(path)
	}
	root, err := confine.MakeDirectory(filepath.Join(dir, "rootfs"))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return makeInRoot(root.Fd(), path)
}

// makeInRoot opens a directory below root, whose absolute links refer to root, and makes it.
func makeInRoot(root int, path string) (target, error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	current, err := unix.Openat2(root, ".", &how)
	done := ""
	for _, name := range strings.FieldsFunc(path, func(c rune) bool { return c == '/' }) {
		if err != nil {
			break
		}
		parent := current
		done = filepath.Join(done, name)
		if current, err = unix.Openat2(root, done, &how); errors.Is(err, unix.ENOENT) {
			if err = unix.Mkdirat(parent, name, 0o755); err == nil {
				current, err = unix.Openat2(root, done, &how)
			}
		}
		unix.Close(parent)
	}
	if err != nil {
		return nil, &os.PathError{Op: "mkdir", Path: path, Err: err}
	}
	return inRoot(current), nil
}
