package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// unmountAll takes the mounts down from the last to the first, so that file systems on disks are clean. What a file of one is used
// for, to swap to or as a disk of its own, holds it also when it is mounted nowhere that PID 1 sees: that ends, too.
func unmountAll() {
	unix.Sync()
	endSwapping()
	unmountDisks()
	removeMappings()
	detachLoops()
	if unmountDisks() == 0 {
		return
	}
	for _, mount := range mounted() {
		if !mount.isDisk() {
			continue
		}
		if err := unix.Mount("", mount.target, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
			step("unmount %s: %v", mount.target, err)
		}
	}
}

// unmountDisks unmounts all that it can, and says how many file systems of disks are left.
func unmountDisks() int {
	left := 0
	mounts := mounted()
	for i := len(mounts) - 1; i >= 0; i-- {
		if err := unix.Unmount(mounts[i].target, 0); err != nil && mounts[i].isDisk() {
			left++
		}
	}
	return left
}

type mountPoint struct{ source, target string }

func (m mountPoint) isDisk() bool {
	return strings.HasPrefix(m.source, "/dev/")
}

// mounted has what is mounted, but for what PID 1 needs to the end.
func mounted() []mountPoint {
	data, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		step("%v", err)
		return nil
	}
	var mounts []mountPoint
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if fields := strings.Fields(line); len(fields) >= 3 && !staysMounted(fields[1]) {
			mounts = append(mounts, mountPoint{fields[0], unescapeMount(fields[1])})
		}
	}
	return mounts
}

func staysMounted(path string) bool {
	return path == "/" || path == "/dev" || path == "/proc" || path == "/sys"
}

// The kernel writes space, tab, newline and backslash of a path as three octal digits.
func unescapeMount(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}

func endSwapping() {
	data, err := os.ReadFile("/proc/swaps")
	if err != nil {
		return // a kernel that cannot swap
	}
	places := []string{"", "/dev"}
	for _, mount := range mounted() {
		places = append(places, mount.target)
	}
	for _, path := range swapAreas(string(data)) {
		if err := endSwappingTo(path, places); err != nil {
			step("swap %s: %v", path, err)
		}
	}
}

// swapAreas reads /proc/swaps, which has a line of titles and then one for each area, with its path first.
func swapAreas(text string) []string {
	var paths []string
	for _, line := range strings.Split(text, "\n")[1:] {
		if fields := strings.Fields(line); len(fields) > 0 {
			paths = append(paths, unescapeMount(fields[0]))
		}
	}
	return paths
}

// endSwappingTo looks in all places: an area that was named in a container has a path from the mount it was found in, which
// is one of the container's. The kernel refuses a file that is no area.
func endSwappingTo(path string, places []string) error {
	var failed error
	for _, place := range places {
		name, err := unix.BytePtrFromString(filepath.Join(place, path))
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

// removeMappings removes all devices of the device mapper that nobody uses.
func removeMappings() {
	control, err := os.OpenFile("/dev/mapper/control", os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return // a kernel without it
	}
	defer control.Close()
	// linux/dm-ioctl.h, version 4: struct dm_ioctl begins with the version, its size, and where its data begins.
	request := make([]byte, unsafe.Sizeof(unix.DmIoctl{}))
	for i, number := range []uint32{4, 0, 0, uint32(len(request)), uint32(len(request))} {
		binary.NativeEndian.PutUint32(request[4*i:], number)
	}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, control.Fd(), unix.DM_REMOVE_ALL, uintptr(unsafe.Pointer(&request[0])))
	if errno != 0 {
		step("mapped devices: %v", errno)
	}
}

// detachLoops takes the files away from all loop devices; one that is in use still loses its own when that ends.
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
