// Package table makes partition tables with one Linux partition that takes all of a disk.
package table

import (
	"errors"
	"fmt"
)

// Disk is what is to be divided.
type Disk struct {
	Size   int64 // bytes
	Sector int64 // bytes of a logical sector: 512 or 4096
}

// Identity are the random numbers of a table: how the disk and the partition are called by other programs.
type Identity struct {
	Disk, Partition [16]byte
}

// Area is bytes to write at a place.
type Area struct {
	At    int64
	Bytes []byte
}

// Layout is a table and the partition it describes, in bytes.
type Layout struct {
	Areas       []Area
	Start, Size int64
}

// The partition begins where every disk can write well, as other programs have it.
const alignment = 1 << 20

// ErrSmall says that a disk has no place for a partition.
var ErrSmall = errors.New("the disk is too small to be divided")

// Make lays out a table: "dos" or "gpt".
func Make(kind string, disk Disk, id Identity) (Layout, error) {
	if disk.Sector < 512 || alignment%disk.Sector != 0 {
		return Layout{}, fmt.Errorf("sectors of %d bytes are not known here", disk.Sector)
	}
	if disk.Size < 3*alignment {
		return Layout{}, ErrSmall
	}
	switch kind {
	case "dos":
		return dos(disk, id), nil
	case "gpt":
		return gpt(disk, id), nil
	}
	return Layout{}, fmt.Errorf("%q is no kind of partition table: dos or gpt", kind)
}
