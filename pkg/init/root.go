package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"lkt/init/filetree"
)

// newRoot is where the new root is mounted before it becomes "/". The init image contains the
// directory.
const newRoot = "/mnt"

// switchRoot verifies the image and makes its root "/", read-only. It returns a descriptor of
// /proc, which is no longer mounted, and one of the initramfs, or nil if its files are the root.
//
// Nothing else is mounted on the root, so that lockMounts locks only the root.
func switchRoot() (proc, initramfs *os.File, err error) {
	cmdline := mountProc()
	if proc, err = os.Open("/proc"); err != nil {
		return nil, nil, err
	}
	list, err := checkImage(cmdline)
	if err != nil {
		return nil, nil, fmt.Errorf("the image is incomplete: %w", err)
	}
	switch {
	case len(list) > 0:
		if initramfs, err = os.Open("/"); err == nil {
			loadModules("load-root")
			err = mountRoot(list[0], newRoot, 0)
		}
	case isInMemory("/"):
		err = moveToMemory()
	default:
		err = bindRoot()
	}
	if err == nil {
		err = moveRoot()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot mount the root: %w", err)
	}
	return proc, initramfs, nil
}

// isInMemory reports whether a path is in a file system of the kind that the kernel unpacks an
// initramfs into.
func isInMemory(path string) bool {
	var stat unix.Statfs_t
	err := unix.Statfs(path, &stat)
	return err == nil && (stat.Type == unix.RAMFS_MAGIC || stat.Type == unix.TMPFS_MAGIC)
}

// bindRoot mounts the root, a disk, read-only at newRoot.
func bindRoot() error {
	// Not MS_REC: the mounts so far are mounted again.
	if err := unix.Mount("/", newRoot, "", unix.MS_BIND, ""); err != nil {
		return &os.PathError{Op: "mount", Path: newRoot, Err: err}
	}
	return remount(newRoot, unix.MS_RDONLY)
}

// moveToMemory moves the initramfs into another file system in memory, which it mounts read-only at
// newRoot. The initramfs is the lowest mount of the namespace of kernel threads. Who enters that
// one can make it writable, and must find nothing there.
//
// Not tmpfs, which could be swapped to a disk.
func moveToMemory() error {
	if err := unix.Mount("ramfs", newRoot, "ramfs", 0, "mode=755"); err != nil {
		return &os.PathError{Op: "mount", Path: newRoot, Err: err}
	}
	// A view of the root without other mounts.
	fd, err := unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return &os.PathError{Op: "open_tree", Path: "/", Err: err}
	}
	defer unix.Close(fd)
	if err := filetree.Move(fmt.Sprintf("/proc/self/fd/%d", fd), newRoot); err != nil {
		return err
	}
	if err := unix.Mount("", newRoot, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return &os.PathError{Op: "remount", Path: newRoot, Err: err}
	}
	step("root in memory")
	return nil
}

// remount changes the flags of a mount.
func remount(path string, flags uintptr) error {
	err := unix.Mount("", path, "", unix.MS_BIND|unix.MS_REMOUNT|flags, "")
	if err != nil {
		return &os.PathError{Op: "remount", Path: path, Err: err}
	}
	return nil
}

// moveRoot makes newRoot "/".
func moveRoot() error {
	if err := unix.Unmount("/proc", unix.MNT_DETACH); err != nil {
		return &os.PathError{Op: "unmount", Path: "/proc", Err: err}
	}
	if err := os.Chdir(newRoot); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return &os.PathError{Op: "move", Path: newRoot, Err: err}
	}
	// Kernel threads share PID 1's root: programs that the kernel starts are those of this root.
	if err := unix.Chroot("."); err != nil {
		return &os.PathError{Op: "chroot", Path: newRoot, Err: err}
	}
	return os.Chdir("/")
}

// completeRoot mounts the other file systems of the root, and empties the initramfs, whose mount is
// below all others. A container must find nothing there.
func completeRoot(initramfs *os.File) error {
	// Only now, so that these two flags are not locked: runc cannot bind-mount a file with locked
	// flags other than read-only.
	if err := remount("/", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV); err != nil || initramfs == nil {
		return err
	}
	defer initramfs.Close()
	if err := initramfs.Chdir(); err != nil {
		return err
	}
	list, err := readRoots()
	if err != nil {
		return err
	}
	for _, root := range list[1:] {
		if err := mountRoot(root, "/"+root.Target, unix.MS_NOSUID|unix.MS_NODEV); err != nil {
			return err
		}
	}
	step("roots")
	names, err := initramfs.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := os.RemoveAll(name); err != nil {
			return err
		}
	}
	return os.Chdir("/")
}
