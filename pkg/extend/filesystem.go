package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"lkt/storage/disk"
	"lkt/storage/reader"
)

// growers grow a file system that is mounted at a directory.
var growers = map[string]func(point *os.File, to disk.Extent) error{
	"ext4": extGrow, "xfs": xfsGrow, "btrfs": btrfsGrow,
}

// growFilesystem mounts the file system in the container's own namespace and grows it.
func growFilesystem(p reader.Parser, path, kind string, size int64) error {
	before, err := extentOf(p, path, kind, size)
	if err != nil {
		return err
	}
	to := before
	to.Blocks = uint64(size) / before.Block
	if to.Blocks == before.Blocks {
		report("%s: already at full size", path)
		return nil
	}
	if err := growMounted(path, kind, to); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	after, err := extentOf(p, path, kind, size)
	if err == nil {
		report("%s has %s with %d bytes instead of %d", path, kind, after.Size(), before.Size())
	}
	return err
}

func extentOf(p reader.Parser, path, kind string, size int64) (disk.Extent, error) {
	file, err := os.Open(path)
	if err != nil {
		return disk.Extent{}, err
	}
	defer file.Close()
	e, err := p.Extent(file, kind, size)
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return e, err
}

// point is a directory of the image for this mount only.
const point = "/mnt"

func growMounted(path, kind string, to disk.Extent) error {
	options := ""
	if kind == "ext4" {
		// The superblock may say that an error panics the machine.
		options = "errors=remount-ro"
	}
	if err := unix.Mount(path, point, kind, unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, options); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	file, err := os.Open(point)
	if err == nil {
		err = growers[kind](file, to)
		file.Close()
	}
	return errors.Join(err, unix.Unmount(point, 0))
}

const (
	extResize = 0x40086610 // EXT4_IOC_RESIZE_FS
	xfsResize = 0x4010586e // XFS_IOC_FSGROWFSDATA
	// BTRFS_IOC_RESIZE
	btrfsResize = 0x50009403
)

func extGrow(point *os.File, to disk.Extent) error {
	blocks := to.Blocks
	return call(point, extResize, unsafe.Pointer(&blocks))
}

func xfsGrow(point *os.File, to disk.Extent) error {
	data := struct {
		blocks  uint64
		percent uint32
		_       uint32
	}{blocks: to.Blocks, percent: to.Inodes}
	return call(point, xfsResize, unsafe.Pointer(&data))
}

func btrfsGrow(point *os.File, to disk.Extent) error {
	// struct btrfs_ioctl_vol_args, with the device and its new size as text.
	var data struct {
		_    int64
		name [4088]byte
	}
	copy(data.name[:], fmt.Sprintf("%d:%d", to.Device, to.Size()))
	return call(point, btrfsResize, unsafe.Pointer(&data))
}

func call(file *os.File, request uintptr, argument unsafe.Pointer) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, file.Fd(), request, uintptr(argument))
	runtime.KeepAlive(argument)
	switch errno {
	case 0:
		return nil
	case unix.EPERM, unix.EOPNOTSUPP:
		return fmt.Errorf("the kernel cannot grow it while mounted, perhaps because of file system errors: %w", errno)
	}
	return fmt.Errorf("grow: %w", errno)
}
