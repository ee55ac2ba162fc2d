package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// extent is the size of a file system in its superblock.
type extent struct {
	block, blocks uint64
	// For XFS: the maximum percentage of inodes.
	inodes uint32
}

func (e extent) size() uint64 { return e.block * e.blocks }

// grower reads and grows a file system, which must be mounted to grow.
type grower struct {
	extent func(device io.ReaderAt, limit int64) (extent, error)
	grow   func(point *os.File, to extent) error
}

var growers = map[string]grower{
	"ext4": {extExtent, extGrow},
	"xfs":  {xfsExtent, xfsGrow},
}

// feature64Bit is the ext4 feature of 64-bit block numbers.
const feature64Bit = 0x80

// extExtent reads an ext superblock (fs/ext4/ext4.h).
func extExtent(device io.ReaderAt, limit int64) (extent, error) {
	b := make([]byte, 1024)
	if _, err := device.ReadAt(b, 1024); err != nil {
		return extent{}, err
	}
	blocks := uint64(binary.LittleEndian.Uint32(b[4:]))
	if binary.LittleEndian.Uint32(b[96:])&feature64Bit != 0 {
		blocks |= uint64(binary.LittleEndian.Uint32(b[336:])) << 32
	}
	return newExtent(1024<<min(binary.LittleEndian.Uint32(b[24:]), 32), blocks, limit)
}

// xfsExtent reads an XFS superblock (fs/xfs/libxfs/xfs_format.h).
func xfsExtent(device io.ReaderAt, limit int64) (extent, error) {
	b := make([]byte, 512)
	if _, err := device.ReadAt(b, 0); err != nil {
		return extent{}, err
	}
	e, err := newExtent(uint64(binary.BigEndian.Uint32(b[4:])), binary.BigEndian.Uint64(b[8:]), limit)
	e.inodes = uint32(b[127])
	if err == nil && e.inodes > 100 {
		err = fmt.Errorf("invalid superblock: %d percent of inodes", e.inodes)
	}
	return e, err
}

func newExtent(block, blocks uint64, limit int64) (extent, error) {
	if bits.OnesCount64(block) != 1 || block < 512 || block > 65536 || blocks == 0 || blocks > uint64(limit)/block {
		return extent{}, fmt.Errorf("invalid superblock: %d blocks of %d bytes on a device of %d bytes", blocks, block, limit)
	}
	return extent{block: block, blocks: blocks}, nil
}

// growFilesystem mounts the file system in the container's own namespace and grows it.
func growFilesystem(path, kind string, size int64) error {
	before, err := extentOf(path, kind, size)
	if err != nil {
		return err
	}
	to := before
	to.blocks = uint64(size) / before.block
	if to.blocks == before.blocks {
		report("%s: already at full size", path)
		return nil
	}
	if err := growMounted(path, kind, to); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	after, err := extentOf(path, kind, size)
	if err == nil {
		report("%s has %s with %d bytes instead of %d", path, kind, after.size(), before.size())
	}
	return err
}

func extentOf(path, kind string, size int64) (extent, error) {
	file, err := os.Open(path)
	if err != nil {
		return extent{}, err
	}
	defer file.Close()
	e, err := growers[kind].extent(file, size)
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return e, err
}

// point is a directory of the image for this mount only.
const point = "/mnt"

func growMounted(path, kind string, to extent) error {
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
		err = growers[kind].grow(file, to)
		file.Close()
	}
	return errors.Join(err, unix.Unmount(point, 0))
}

const (
	extResize = 0x40086610 // EXT4_IOC_RESIZE_FS
	xfsResize = 0x4010586e // XFS_IOC_FSGROWFSDATA
)

func extGrow(point *os.File, to extent) error {
	blocks := to.blocks
	return call(point, extResize, unsafe.Pointer(&blocks))
}

func xfsGrow(point *os.File, to extent) error {
	data := struct {
		blocks  uint64
		percent uint32
		_       uint32
	}{blocks: to.blocks, percent: to.inodes}
	return call(point, xfsResize, unsafe.Pointer(&data))
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
