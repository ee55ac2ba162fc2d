// Package table makes partition tables with one Linux partition that takes all of a disk, and lets one grow when the disk does.
package table

import (
	"errors"
	"fmt"
	"os"
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
	if err := disk.check(); err != nil {
		return Layout{}, err
	}
	switch kind {
	case "dos":
		return dos(disk, id), nil
	case "gpt":
		return gpt(disk, id), nil
	}
	return Layout{}, fmt.Errorf("%q is no kind of partition table: dos or gpt", kind)
}

func (d Disk) check() error {
	if d.Sector < 512 || alignment%d.Sector != 0 {
		return fmt.Errorf("sectors of %d bytes are not known here", d.Sector)
	}
	if d.Size < 3*alignment {
		return ErrSmall
	}
	return nil
}

// Write replaces what the ends of a disk say by the table.
func (l Layout) Write(file *os.File, size int64) error {
	zero := make([]byte, l.Start)
	if err := write(file, []Area{{0, zero}, {size - int64(len(zero)), zero}}); err != nil {
		return err
	}
	return write(file, l.Areas)
}

func write(file *os.File, areas []Area) error {
	for _, area := range areas {
		if _, err := file.WriteAt(area.Bytes, area.At); err != nil {
			return err
		}
	}
	return file.Sync()
}
