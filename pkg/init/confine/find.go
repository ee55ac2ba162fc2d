package confine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// openFile is an open file that can no longer be replaced.
type openFile struct {
	fd    int
	isDir bool
	// replaceable: a directory on its path is writable.
	replaceable bool
	// flags of its mount, as statfs(2) returns them.
	flags int64
}

const (
	oPath    = 0x200000 // O_PATH
	stRdonly = 1        // ST_RDONLY
	stNosuid = 2        // ST_NOSUID
	stNodev  = 4        // ST_NODEV
	stNoexec = 8        // ST_NOEXEC
	maxLinks = 40
)

// trustedLinks are symbolic links that PID 1 makes in writable directories.
var trustedLinks = []string{"/var/run"}

// openPath opens a path without following symbolic links that a container could have made. It
// returns nil for files in /proc and /sys, where the kernel makes the links. With create, it makes
// missing directories.
func openPath(path string, create bool) (*openFile, error) {
	replaceable := false
	for range maxLinks {
		path = filepath.Clean(path)
		if strings.HasPrefix(path, "/proc/") || strings.HasPrefix(path, "/sys/") {
			return nil, nil
		}
		file, next, err := walk(path, create)
		if err != nil {
			return nil, err
		}
		replaceable = replaceable || file.replaceable
		if next == "" {
			file.replaceable = replaceable
			if file.flags, err = mountFlags(file.fd); err != nil {
				syscall.Close(file.fd)
				return nil, err
			}
			return file, nil
		}
		path = next
	}
	return nil, syscall.ELOOP
}

// walk opens a path component by component. If it meets a symbolic link, it stops and returns the
// resolved path as next. With create, it makes missing directories.
func walk(path string, create bool) (file *openFile, next string, err error) {
	const mode = oPath | syscall.O_NOFOLLOW | syscall.O_CLOEXEC
	fd, err := syscall.Open("/", mode|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, "", err
	}
	file = &openFile{fd: fd, isDir: true}
	names := strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
	for i, name := range names {
		flags, err := mountFlags(file.fd)
		if err != nil {
			syscall.Close(file.fd)
			return nil, "", err
		}
		writable := flags&stRdonly == 0
		file.replaceable = file.replaceable || writable
		child, err := syscall.Openat(file.fd, name, mode, 0)
		if create && errors.Is(err, syscall.ENOENT) {
			if err = syscall.Mkdirat(file.fd, name, 0o755); err == nil || errors.Is(err, syscall.EEXIST) {
				child, err = syscall.Openat(file.fd, name, mode, 0)
			}
		}
		if err != nil {
			syscall.Close(file.fd)
			return nil, "", err
		}
		var stat syscall.Stat_t
		if err = syscall.Fstat(child, &stat); err == nil && stat.Mode&syscall.S_IFMT == syscall.S_IFLNK {
			next, err = readLink(file.fd, names[:i], name, writable)
			next = filepath.Join(append([]string{next}, names[i+1:]...)...)
			syscall.Close(child)
			syscall.Close(file.fd)
			return file, next, err
		}
		syscall.Close(file.fd)
		file.fd, file.isDir = child, stat.Mode&syscall.S_IFMT == syscall.S_IFDIR
		if err != nil {
			syscall.Close(child)
			return nil, "", err
		}
	}
	return file, "", nil
}

// readLink returns the target of a symbolic link in a directory. The target cannot change
// meanwhile, because the directory is not writable.
func readLink(fd int, parents []string, name string, writable bool) (string, error) {
	dir := "/" + filepath.Join(parents...)
	path := filepath.Join(dir, name)
	if writable && !isTrustedLink(path) {
		return "", fmt.Errorf("%s is a symbolic link that a container could have made", path)
	}
	target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d/%s", fd, name))
	if err != nil {
		return "", err
	}
	if filepath.IsAbs(target) {
		return target, nil
	}
	return filepath.Join(dir, target), nil
}

func isTrustedLink(path string) bool {
	for _, link := range trustedLinks {
		if path == link {
			return true
		}
	}
	return false
}

func mountFlags(fd int) (int64, error) {
	var stat syscall.Statfs_t
	err := syscall.Fstatfs(fd, &stat)
	for errors.Is(err, syscall.EINTR) {
		err = syscall.Fstatfs(fd, &stat)
	}
	return int64(stat.Flags), err
}
