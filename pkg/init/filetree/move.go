// Package filetree moves files between file systems.
package filetree

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Move moves the contents of a directory into an empty directory of another file system, with their
// modes, owners, modification times and hard links. It removes what it has copied, so that files in
// memory take little more than before. It does not preserve extended attributes, which an initramfs
// does not have. It leaves empty directories that are mount points of the caller.
//
// If it fails, some content is in each directory.
func Move(from, to string) error {
	var root unix.Stat_t
	if err := unix.Stat(from, &root); err != nil {
		return &os.PathError{Op: "stat", Path: from, Err: err}
	}
	m := mover{links: map[uint64]string{}}
	if err := m.contents(from, to); err != nil {
		return err
	}
	return setAttributes(to, &root)
}

type mover struct {
	// links are the new paths of files that have had several links, by inode number.
	links map[uint64]string
}

func (m *mover) contents(from, to string) error {
	dir, err := os.Open(from)
	if err != nil {
		return err
	}
	names, err := dir.Readdirnames(-1)
	dir.Close()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := m.entry(from+"/"+name, to+"/"+name); err != nil {
			return err
		}
	}
	return nil
}

func (m *mover) entry(from, to string) error {
	var stat unix.Stat_t
	if err := unix.Lstat(from, &stat); err != nil {
		return &os.PathError{Op: "lstat", Path: from, Err: err}
	}
	if stat.Mode&unix.S_IFMT == unix.S_IFDIR {
		return m.directory(from, to, &stat)
	}
	if first, found := m.links[stat.Ino]; found {
		if err := os.Link(first, to); err != nil {
			return err
		}
		return os.Remove(from)
	}
	if stat.Nlink > 1 {
		m.links[stat.Ino] = to
	}
	if err := move(from, to, &stat); err != nil {
		return err
	}
	if err := setAttributes(to, &stat); err != nil {
		return err
	}
	return os.Remove(from)
}

func (m *mover) directory(from, to string, stat *unix.Stat_t) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	if err := m.contents(from, to); err != nil {
		return err
	}
	if err := setAttributes(to, stat); err != nil {
		return err
	}
	if err := os.Remove(from); err != nil && !errors.Is(err, unix.EBUSY) { // a mount point
		return err
	}
	return nil
}

// move makes a file like one that is not a directory, which it may leave empty.
func move(from, to string, stat *unix.Stat_t) error {
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return moveContent(from, to, stat.Size)
	case unix.S_IFLNK:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	default:
		if err := unix.Mknod(to, stat.Mode, int(stat.Rdev)); err != nil {
			return &os.PathError{Op: "mknod", Path: to, Err: err}
		}
		return nil
	}
}

// moveContent copies a file from its end to its begin, and cuts off what is copied. A program that
// runs cannot be cut.
func moveContent(from, to string, size int64) error {
	isWritable := true
	in, err := unix.Open(from, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == unix.ETXTBSY {
		isWritable = false
		in, err = unix.Open(from, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: from, Err: err}
	}
	defer unix.Close(in)
	out, err := unix.Open(to, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &os.PathError{Op: "create", Path: to, Err: err}
	}
	defer unix.Close(out)
	for end := size; end > 0; {
		start := (end - 1) / maxCopied * maxCopied
		if err := copyRange(out, in, start, end); err != nil {
			return &os.PathError{Op: "copy", Path: from, Err: err}
		}
		if end = start; isWritable {
			if err := unix.Ftruncate(in, start); err != nil {
				return &os.PathError{Op: "truncate", Path: from, Err: err}
			}
		}
	}
	return nil
}

// maxCopied is the size of the parts of a file that exist twice.
const maxCopied = 4 << 20

func copyRange(out, in int, start, end int64) error {
	if _, err := unix.Seek(out, start, unix.SEEK_SET); err != nil {
		return err
	}
	for at := start; at < end; {
		n, err := unix.Sendfile(out, in, &at, int(end-at)) // advances at
		if err == nil && n == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil && err != unix.EINTR {
			return err
		}
	}
	return nil
}

// setAttributes sets the owner, the mode and the time of modification.
func setAttributes(path string, stat *unix.Stat_t) error {
	if err := unix.Lchown(path, int(stat.Uid), int(stat.Gid)); err != nil {
		return &os.PathError{Op: "chown", Path: path, Err: err}
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFLNK { // a link has no mode
		if err := unix.Chmod(path, stat.Mode&0o7777); err != nil {
			return &os.PathError{Op: "chmod", Path: path, Err: err}
		}
	}
	times := []unix.Timespec{stat.Mtim, stat.Mtim}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, path, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &os.PathError{Op: "set the time of", Path: path, Err: err}
	}
	return nil
}
