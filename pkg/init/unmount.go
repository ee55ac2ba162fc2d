package main

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lkt/init/bounded"
)

const (
	// unmountTime is how long the kernel may take for one file system, or to release devices.
	unmountTime = 20 * time.Second
	// swapTime is how long it may take to read what was swapped out.
	swapTime = time.Minute
)

// unmountAll unmounts all file systems in reverse order, so that disks are clean. It first disables
// swap, device mappings and loop devices, which keep file systems busy even if they are not mounted
// in PID 1's namespace. Each call is bounded, because a disk that does not answer blocks it.
func unmountAll(forced context.Context) {
	if err := bounded.Sync(forced); err != nil {
		step("sync: %v", err)
	} else {
		defer func() { _ = bounded.Sync(forced) }()
	}
	limited(forced, "swap", swapTime, swapOff)
	hung := map[string]bool{}
	unmountDisks(forced, hung)
	limited(forced, "device mapper", unmountTime, removeMappings)
	limited(forced, "loop devices", unmountTime, detachLoops)
	if unmountDisks(forced, hung) == 0 {
		return
	}
	for _, mount := range mounted() {
		if !mount.isDisk() || hung[mount.target] {
			continue
		}
		limited(forced, "unmount "+mount.target, unmountTime, func() {
			if err := unix.Mount("", mount.target, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
				step("unmount %s: %v", mount.target, err)
			}
		})
	}
}

// limited calls do, and reports if it takes longer than limit.
func limited(forced context.Context, what string, limit time.Duration, do func()) (ended bool) {
	err := bounded.Call(forced, limit, do)
	if err != nil {
		step("%s: %v", what, err)
	}
	return err == nil
}

// unmountDisks unmounts as much as possible, and returns the number of remaining disk file systems.
// It adds those that do not answer to hung, and ignores those that are in it.
func unmountDisks(forced context.Context, hung map[string]bool) int {
	left := 0
	mounts := mounted()
	for i := len(mounts) - 1; i >= 0; i-- {
		mount := mounts[i]
		if hung[mount.target] {
			continue
		}
		failed := make(chan error, 1)
		if !limited(forced, "unmount "+mount.target, unmountTime, func() { failed <- unix.Unmount(mount.target, 0) }) {
			hung[mount.target] = true
		} else if <-failed != nil && mount.isDisk() {
			left++
		}
	}
	return left
}

type mountPoint struct{ source, target string }

func (m mountPoint) isDisk() bool {
	return strings.HasPrefix(m.source, "/dev/")
}

// mounted returns the mount points, except those that PID 1 needs to the end.
func mounted() []mountPoint {
	data, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		step("%v", err)
		return nil
	}
	return parseMounts(string(data))
}

// parseMounts reads /proc/self/mounts. Only a space separates fields: a container may have chosen a
// path with any other white space.
func parseMounts(text string) (mounts []mountPoint) {
	for line := range strings.Lines(text) {
		if fields := strings.Split(line, " "); len(fields) >= 3 && !staysMounted(fields[1]) {
			mounts = append(mounts, mountPoint{fields[0], unescapeMount(fields[1])})
		}
	}
	return mounts
}

func staysMounted(path string) bool {
	return path == "/" || path == "/dev" || path == "/proc" || path == "/sys"
}

// unescapeMount decodes the octal escapes of space, tab, newline and backslash.
func unescapeMount(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}

func swapOff() {
	data, err := os.ReadFile("/proc/swaps")
	if err != nil {
		return // a kernel without swap
	}
	prefixes := []string{"", "/dev"}
	for _, mount := range mounted() {
		prefixes = append(prefixes, mount.target)
	}
	for _, path := range swapAreas(string(data)) {
		if err := swapOffArea(path, prefixes); err != nil {
			step("swap %s: %v", path, err)
		}
	}
}

// swapAreas returns the paths in /proc/swaps, whose first line is a header. A space or a tab
// follows a path.
func swapAreas(text string) []string {
	var paths []string
	for _, line := range strings.Split(text, "\n")[1:] {
		if end := strings.IndexAny(line, " \t"); end > 0 {
			paths = append(paths, unescapeMount(line[:end]))
		}
	}
	return paths
}

// swapOffArea tries the path below each prefix: an area that was added in a container is listed
// with a path inside its mount. The kernel rejects a file that is not a swap area.
func swapOffArea(path string, prefixes []string) error {
	var failed error
	for _, prefix := range prefixes {
		name, err := unix.BytePtrFromString(filepath.Join(prefix, path))
		if err != nil {
			return err
		}
		_, _, errno := unix.Syscall(unix.SYS_SWAPOFF, uintptr(unsafe.Pointer(name)), 0, 0)
		if errno == 0 {
			return nil
		}
		if failed == nil || errno != unix.ENOENT && errno != unix.EINVAL {
			failed = errno
		}
	}
	return failed
}

// removeMappings removes all unused device mapper devices.
func removeMappings() {
	control, err := os.OpenFile("/dev/mapper/control", os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return // a kernel without device mapper
	}
	defer control.Close()
	// linux/dm-ioctl.h, version 4: struct dm_ioctl begins with the version, its size, and the
	// offset of its data.
	request := make([]byte, unsafe.Sizeof(unix.DmIoctl{}))
	for i, number := range []uint32{4, 0, 0, uint32(len(request)), uint32(len(request))} {
		binary.NativeEndian.PutUint32(request[4*i:], number)
	}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, control.Fd(), unix.DM_REMOVE_ALL, uintptr(unsafe.Pointer(&request[0])))
	if errno != 0 {
		step("mapped devices: %v", errno)
	}
}

// detachLoops detaches all loop devices; the kernel detaches a busy one when it is closed.
func detachLoops() {
	attached, err := filepath.Glob("/sys/block/loop*/loop")
	if err != nil {
		return
	}
	for _, path := range attached {
		device, err := os.OpenFile("/dev/"+filepath.Base(filepath.Dir(path)), os.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		if err := unix.IoctlSetInt(int(device.Fd()), unix.LOOP_CLR_FD, 0); err != nil {
			step("%s: %v", device.Name(), err)
		}
		device.Close()
	}
}
