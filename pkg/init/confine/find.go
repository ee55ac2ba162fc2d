package confine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// found is an open file that nobody can replace any more.
type found struct {
	fd    int
	isDir bool
	// changeable: one of the directories on the way to it may be written.
	changeable bool
	// writable: it may be written where it was found.
	writable bool
}

const (
	oPath      = 0x200000 // O_PATH
	readOnlyFS = 1        // ST_RDONLY
	mostLinks  = 40
)

// ownLinks are those that PID 1 makes where others could.
var ownLinks = []string{"/var/run"}

// find opens a path, and follows no symbolic link that a container could have made. Files of /proc and /sys, where the kernel makes
// the links, are not looked for: nil.
func find(path string) (*found, error) {
	changeable := false
	for range mostLinks {
		path = filepath.Clean(path)
		if strings.HasPrefix(path, "/proc/") || strings.HasPrefix(path, "/sys/") {
			return nil, nil
		}
		file, next, err := walk(path)
		if err != nil {
			return nil, err
		}
		changeable = changeable || file.changeable
		if next == "" {
			file.changeable = changeable
			if file.writable, err = isWritable(file.fd); err != nil {
				syscall.Close(file.fd)
				return nil, err
			}
			return file, nil
		}
		path = next
	}
	return nil, syscall.ELOOP
}

// walk opens a path name by name. At a link it ends, and says where that leads.
func walk(path string) (file *found, next string, err error) {
	const flags = oPath | syscall.O_NOFOLLOW | syscall.O_CLOEXEC
	fd, err := syscall.Open("/", flags|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, "", err
	}
	file = &found{fd: fd, isDir: true}
	names := strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
	for i, name := range names {
		writable, err := isWritable(file.fd)
		if err != nil {
			syscall.Close(file.fd)
			return nil, "", err
		}
		file.changeable = file.changeable || writable
		child, err := syscall.Openat(file.fd, name, flags, 0)
		if err != nil {
			syscall.Close(file.fd)
			return nil, "", err
		}
		var stat syscall.Stat_t
		if err = syscall.Fstat(child, &stat); err == nil && stat.Mode&syscall.S_IFMT == syscall.S_IFLNK {
			next, err = follow(file.fd, names[:i], name, writable)
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

// follow says where the link of a directory leads. What is read does not change: nobody can write there.
func follow(fd int, parents []string, name string, writable bool) (string, error) {
	dir := "/" + filepath.Join(parents...)
	path := filepath.Join(dir, name)
	if writable && !isOwn(path) {
		return "", fmt.Errorf("%s is a symbolic link, which a container could have made", path)
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

func isOwn(path string) bool {
	for _, link := range ownLinks {
		if path == link {
			return true
		}
	}
	return false
}

func isWritable(fd int) (bool, error) {
	var stat syscall.Statfs_t
	err := syscall.Fstatfs(fd, &stat)
	for errors.Is(err, syscall.EINTR) {
		err = syscall.Fstatfs(fd, &stat)
	}
	return stat.Flags&readOnlyFS == 0, err
}
