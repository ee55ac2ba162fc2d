package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// imageFile is a file of the machine's root, which no program executes.
const imageFile = "/etc/sysctl.d/00-lkt.conf"

// machine are attempts of a container that sees all processes and may enter their namespaces.
var machine = []attempt{
	base[0], base[1],
	{"other-roots", func() error {
		return anyOf([]string{"/proc/1/root", "/proc/2/root"}, func(dir string) error {
			_ = unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND, "")
			_ = unix.Mount("", dir, "", unix.MS_REMOUNT, "")
			_ = unix.MountSetattr(unix.AT_FDCWD, dir, 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
			fd, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
			if err == nil {
				_ = unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
				dir = fmt.Sprintf("/proc/self/fd/%d", fd)
			}
			return overwrite(dir + imageFile)
		})
	}},
	{"other-namespaces", otherNamespaces},
}

// otherNamespaces enters all mount namespaces that it can name, also that of kernel threads, and
// tries to write a file of the image there.
func otherNamespaces() error {
	paths, err := filepath.Glob("/proc/[0-9]*/ns/mnt")
	if err != nil {
		return err
	}
	isKernels := false
	for _, path := range append(olderNamespaces(), paths...) {
		name, err := os.ReadFile(filepath.Join(filepath.Dir(path), "../comm"))
		isKernels = isKernels || err == nil && string(name) == "kthreadd\n"
		err = child(0, "enter", path)
		if err == nil || !errors.Is(err, stopped("ENOENT")) && !errors.Is(err, nothingToWrite) {
			return err
		}
	}
	if !isKernels {
		return unix.ENOENT
	}
	return nothingToWrite
}

// nothingToWrite is the result in a mount namespace in which the image is read-only or missing.
const nothingToWrite = stopped("read-only or empty")

// olderNamespaces returns paths of the mount namespaces that are older than its own.
func olderNamespaces() (paths []string) {
	fd, err := unix.Open("/proc/self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	for err == nil {
		const previous = 0x8010b70c // NS_MNT_GET_PREV
		info := [2]uint64{16}
		next, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), previous, uintptr(unsafe.Pointer(&info)))
		if errno != 0 {
			break
		}
		fd = int(next)
		paths = append(paths, fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd))
	}
	return paths
}

// enter tries to write a file of the image in a copy of a mount namespace, with each of its mounts
// of "/". It must run in a process of its own.
func enter(path string) error {
	runtime.LockOSThread()
	own, err := unix.Open("/proc/thread-self/ns", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil { // the process has ended
		return unix.ENOENT
	}
	for _, err := range []error{unix.Unshare(unix.CLONE_FS), unix.Setns(fd, unix.CLONE_NEWNS), unix.Unshare(unix.CLONE_NEWNS)} {
		if err != nil {
			return err
		}
	}
	_ = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	copied, err := unix.Openat(own, "mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	for range 16 {
		_ = unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND, "")
		_ = unix.MountSetattr(unix.AT_FDCWD, "/", 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
		if err = overwrite(imageFile); err == nil || unix.Unmount("/", unix.MNT_DETACH) != nil {
			break
		}
		if err := unix.Setns(copied, unix.CLONE_NEWNS); err != nil {
			return err
		}
	}
	if errors.Is(err, unix.EROFS) || errors.Is(err, unix.ENOENT) {
		return nothingToWrite
	}
	return err
}

// overwrite opens an existing file for writing, and leaves its content.
func overwrite(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		file.Close()
	}
	return err
}
