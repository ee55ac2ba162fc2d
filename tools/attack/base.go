package main

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// base are attempts to reach what is below the container's root. Containers with all capabilities
// make only these.
var base = []attempt{
	{"detach-root", func() error {
		// In a copy of the mount namespace, so that the other attempts keep their root.
		err := child(unix.CLONE_NEWNS, "detach")
		if errors.Is(err, unix.EPERM) {
			return child(0, "detach")
		}
		return err
	}},
	{"rewrite-image", func() error {
		_ = unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND, "")
		_ = unix.Mount("", "/", "", unix.MS_REMOUNT, "")
		_ = unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
		return writeTo("/")
	}},
	{"machine-namespace", machineNamespace},
	{"made-disk", func() error {
		// The first disk, a loop device, and memory.
		for _, device := range [][3]int{{unix.S_IFBLK, 254, 0}, {unix.S_IFBLK, 7, 0}, {unix.S_IFCHR, 1, 1}} {
			_ = os.Remove("/tmp/device")
			err := unix.Mknod("/tmp/device", uint32(device[0]|0o600), int(unix.Mkdev(uint32(device[1]), uint32(device[2]))))
			if err == nil {
				err = read("/tmp/device")
			}
			if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENXIO) && !errors.Is(err, unix.ENODEV) {
				return err
			}
		}
		return unix.EPERM
	}},
}

// child runs a part of this program in another process, in new namespaces, and returns its result.
func child(namespaces uintptr, arguments ...string) error {
	c := exec.Command("/proc/self/exe", arguments...)
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	out, err := c.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	switch text := strings.TrimSpace(string(out)); text {
	case "OPEN":
		return nil
	case "EPERM":
		return unix.EPERM
	case "":
		return err
	default:
		return stopped(text)
	}
}

// detach removes the root mount again and again. Entering its own mount namespace sets the root of
// a process to the topmost of the mounts that remain.
func detach() error {
	runtime.LockOSThread()
	own, err := unix.Open("/proc/thread-self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	for range 16 {
		if err := unix.Unmount("/", unix.MNT_DETACH); err != nil {
			return err
		}
		if err := unix.Setns(own, unix.CLONE_NEWNS); err != nil {
			return err
		}
		if err := writeTo("/"); err == nil {
			return nil
		}
	}
	return stopped("read-only")
}

// writeTo writes to a directory, and to the runtime if it is there.
func writeTo(dir string) error {
	for _, path := range []string{dir + "/usr/bin/runc", dir + "/was-here"} {
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ETXTBSY) {
			continue
		}
		if err != nil {
			return err
		}
		file.Close()
		var stat unix.Statfs_t
		if unix.Statfs(dir, &stat) == nil && stat.Type == unix.OVERLAYFS_SUPER_MAGIC {
			return stopped("own layer")
		}
		return nil
	}
	return unix.ENOENT
}

// machineNamespace asks for the mount namespace that is older than its own, such as PID 1's.
func machineNamespace() error {
	own, err := unix.Open("/proc/self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(own)
	const previous = 0x8010b70c // NS_MNT_GET_PREV
	info := [2]uint64{16}
	return call(unix.SYS_IOCTL, uintptr(own), previous, uintptr(unsafe.Pointer(&info)))
}
