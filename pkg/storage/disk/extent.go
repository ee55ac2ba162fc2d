package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
)

// Extent is the size of a file system in its superblock.
type Extent struct {
	Block, Blocks uint64
	// Inodes is, for XFS, the maximum percentage of inodes.
	Inodes uint32
	// Device is, for btrfs, the number of the device within the file system.
	Device uint64
}

// Size returns the size in bytes.
func (e Extent) Size() uint64 { return e.Block * e.Blocks }

// Check returns an error unless the file system fits on a device of size bytes.
func (e Extent) Check(size int64) error {
	if bits.OnesCount64(e.Block) != 1 || e.Block < 512 || e.Block > 65536 || e.Blocks == 0 || e.Blocks > uint64(size)/e.Block {
		return fmt.Errorf("invalid superblock: %d blocks of %d bytes on a device of %d bytes", e.Blocks, e.Block, size)
	}
	if e.Inodes > 100 {
		return fmt.Errorf("invalid superblock: %d percent of inodes", e.Inodes)
	}
	return nil
}

// ExtentOf returns the size of a file system of the given type, "ext4", "xfs" or
// "btrfs".
func ExtentOf(device io.ReaderAt, kind string, size int64) (Extent, error) {
	var e Extent
	var err error
	switch kind {
	case "ext4":
		e, err = extExtent(device)
	case "xfs":
		e, err = xfsExtent(device)
	case "btrfs":
		e, err = btrfsExtent(device)
	default:
		err = fmt.Errorf("unsupported file system type %q: must be ext4, xfs or btrfs", kind)
	}
	if err == nil {
		err = e.Check(size)
	}
	if err != nil {
		return Extent{}, err
	}
	return e, nil
}

// feature64Bit is the ext4 feature of 64-bit block numbers.
const feature64Bit = 0x80

// extExtent reads an ext superblock (fs/ext4/ext4.h).
func extExtent(device io.ReaderAt) (Extent, error) {
	b := make([]byte, 1024)
	if _, err := device.ReadAt(b, 1024); err != nil {
		return Extent{}, err
	}
	blocks := uint64(binary.LittleEndian.Uint32(b[4:]))
	if binary.LittleEndian.Uint32(b[96:])&feature64Bit != 0 {
		blocks |= uint64(binary.LittleEndian.Uint32(b[336:])) << 32
	}
	return Extent{Block: 1024 << min(binary.LittleEndian.Uint32(b[24:]), 32), Blocks: blocks}, nil
}

// xfsExtent reads an XFS superblock (fs/xfs/libxfs/xfs_format.h).
func xfsExtent(device io.ReaderAt) (Extent, error) {
	b := make([]byte, 512)
	if _, err := device.ReadAt(b, 0); err != nil {
		return Extent{}, err
	}
	return Extent{Block: uint64(binary.BigEndian.Uint32(b[4:])), Blocks: binary.BigEndian.Uint64(b[8:]), Inodes: uint32(b[127])}, nil
}

// btrfsExtent reads a btrfs superblock, with the item of its device
// (include/uapi/linux/btrfs_tree.h).
func btrfsExtent(device io.ReaderAt) (Extent, error) {
	b := make([]byte, 512)
	if _, err := device.ReadAt(b, 65536); err != nil {
		return Extent{}, err
	}
	if devices := binary.LittleEndian.Uint64(b[136:]); devices != 1 {
		return Extent{}, fmt.Errorf("btrfs is on %d devices, expected one", devices)
	}
	sector := uint64(binary.LittleEndian.Uint32(b[144:]))
	if sector == 0 {
		return Extent{}, errors.New("invalid superblock: no sector size")
	}
	return Extent{Block: sector, Blocks: binary.LittleEndian.Uint64(b[209:]) / sector, Device: binary.LittleEndian.Uint64(b[201:])}, nil
}

const orphanFile = 0x1000

// IsUnusedExt4 reports whether the superblock (fs/ext4/ext4.h) is of a file system that was never
// mounted and has only the inodes of mke2fs.
func IsUnusedExt4(device io.ReaderAt) bool {
	if found, err := Probe(device); err != nil || found.Type != "ext4" {
		return false
	}
	b := make([]byte, 1024)
	if _, err := device.ReadAt(b, 1024); err != nil {
		return false
	}
	inodes, free := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[16:])
	mounted, mounts := binary.LittleEndian.Uint32(b[44:]), binary.LittleEndian.Uint16(b[52:])
	// Ten are reserved, one is lost+found, and one is the orphan file with that feature.
	used := uint32(11)
	if binary.LittleEndian.Uint32(b[92:])&orphanFile != 0 {
		used++
	}
	return mounted == 0 && mounts == 0 && free < inodes && inodes-free == used
}
