package confine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Handle is an open file or directory of the machine. It stays the same file when a container
// replaces a directory on its path.
type Handle struct{ fd int }

// Open opens a file of the machine. A symbolic link that a container could have made is an error;
// links of a read-only file system are followed.
func Open(path string) (*Handle, error) { return open(path, false) }

// MakeDirectory opens a directory of the machine as Open does. It makes the directory, and those
// above it, if they do not exist.
func MakeDirectory(path string) (*Handle, error) {
	handle, err := open(path, true)
	if err != nil {
		return nil, err
	}
	var stat syscall.Stat_t
	if err = syscall.Fstat(handle.fd, &stat); err == nil && stat.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		err = syscall.ENOTDIR
	}
	if err != nil {
		handle.Close()
		return nil, &os.PathError{Op: "mkdir", Path: path, Err: err}
	}
	return handle, nil
}

func open(path string, create bool) (*Handle, error) {
	if !filepath.IsAbs(path) {
		return nil, &os.PathError{Op: "open", Path: path, Err: errors.New("not an absolute path")}
	}
	file, err := openPath(path, create)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	if file != nil {
		return &Handle{file.fd}, nil
	}
	// In /proc and /sys.
	fd, err := syscall.Open(path, oPath|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return &Handle{fd}, nil
}

// Path returns a name of the open file itself, for system calls that take a path.
func (h *Handle) Path() string { return fmt.Sprintf("/proc/self/fd/%d", h.fd) }

// Fd returns the descriptor, which was opened with O_PATH.
func (h *Handle) Fd() int { return h.fd }

// Close closes the file.
func (h *Handle) Close() { _ = syscall.Close(h.fd) }

// BindNamespace creates a file of the machine, and bind-mounts a namespace ("net", "pid", …) of a
// process on it. It replaces the namespace of an earlier process.
func BindNamespace(pid int, kind, path string) error {
	path = filepath.Clean(path)
	dir, err := MakeDirectory(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	file, err := createIn(dir, filepath.Base(path))
	if err == nil {
		// An earlier mount, which the descriptor refers to.
		if syscall.Unmount(file.Path(), syscall.MNT_DETACH) == nil {
			file.Close()
			file, err = createIn(dir, filepath.Base(path))
		}
	}
	if err != nil {
		return &os.PathError{Op: "create", Path: path, Err: err}
	}
	defer file.Close()
	if err := syscall.Mount(fmt.Sprintf("/proc/%d/ns/%s", pid, kind), file.Path(), "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind the %s namespace to %s: %w", kind, path, err)
	}
	return nil
}

// createIn opens a file of a directory, and creates it if it does not exist. It follows no link.
func createIn(dir *Handle, name string) (*Handle, error) {
	if name == "" || name == "." || name == ".." || strings.Contains(name, "/") {
		return nil, syscall.EISDIR
	}
	fd, err := syscall.Openat(dir.fd, name, syscall.O_CREAT|syscall.O_EXCL|syscall.O_CLOEXEC, 0o600)
	switch {
	case err == nil:
		syscall.Close(fd)
	case !errors.Is(err, syscall.EEXIST):
		return nil, err
	}
	fd, err = syscall.Openat(dir.fd, name, oPath|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	var stat syscall.Stat_t
	if err = syscall.Fstat(fd, &stat); err == nil && stat.Mode&syscall.S_IFMT != syscall.S_IFREG {
		err = errors.New("not a regular file")
	}
	if err != nil {
		syscall.Close(fd)
		return nil, err
	}
	return &Handle{fd}, nil
}
