package command

import (
	"os"
	"syscall"
)

// watch waits for changes of a directory and its files (inotify(7)).
type watch struct{ file *os.File }

func newWatch(dir string) (*watch, error) {
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	file := os.NewFile(uintptr(fd), dir)
	if _, err := syscall.InotifyAddWatch(fd, dir, syscall.IN_MODIFY|syscall.IN_CREATE|syscall.IN_MOVED_TO); err != nil {
		file.Close()
		return nil, &os.PathError{Op: "watch", Path: dir, Err: err}
	}
	return &watch{file}, nil
}

// wait waits until something has changed since its last return. It does not report what: the kernel
// drops events if there are many.
func (w *watch) wait() error {
	_, err := w.file.Read(make([]byte, 64<<10))
	return err
}
