package main

import (
	"golang.org/x/sys/unix"
)

// beyond are attempts to reach files and memory of others by calls that need a capability. The
// container with all capabilities makes them too.
var beyond = []attempt{
	{"open-by-handle", func() error {
		// A container that may do this finds the handles of all other files by guessing.
		handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, "/attack", 0)
		if err != nil { // an overlay has none
			handle = unix.NewFileHandle(1, []byte{2, 0, 0, 0, 0, 0, 0, 0})
		}
		root, err := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(root)
		fd, err := unix.OpenByHandleAt(root, handle, unix.O_RDONLY)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}},
	{"watch-files", func() error {
		group, err := unix.FanotifyInit(unix.FAN_CLASS_NOTIF|unix.FAN_CLOEXEC, unix.O_RDONLY)
		if err != nil {
			return err
		}
		defer unix.Close(group)
		return unix.FanotifyMark(group, unix.FAN_MARK_ADD|unix.FAN_MARK_FILESYSTEM, unix.FAN_OPEN, unix.AT_FDCWD, "/")
	}},
	{"perf", func() error {
		// Of all processes on a processor.
		fd, err := unix.PerfEventOpen(&unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Size: 112}, -1, 0, -1, 0)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}},
}
