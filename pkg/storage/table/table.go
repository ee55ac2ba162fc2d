// Package table creates partition tables with one Linux partition that fills the disk, and grows
// the partition when the disk grows.
package table

import (
	"errors"
	"fmt"
	"os"
)

// Disk is the geometry of a disk.
type Disk struct {
	Size   int64 // bytes
	Sector int64 // bytes in a logical sector: 512 or 4096
}

// Identity are the random IDs of the disk and the partition.
type Identity struct {
	Disk, Partition [16]byte
}

// Area is data to write at an offset.
type Area struct {
	At    int64
	Bytes []byte
}

// Layout is a table and its partition, in bytes.
type Layout struct {
	Areas       []Area
	Start, Size int64
}

// Alignment of partitions, as in other programs.
const alignment = 1 << 20

// ErrSmall means that a disk is too small for a partition.
var ErrSmall = errors.New("the disk is too small for a partition")

// Make lays out a table of type "dos" or "gpt".
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
	return Layout{}, fmt.Errorf("invalid partition table type %q: must be dos or gpt", kind)
}

func (d Disk) check() error {
	if d.Sector < 512 || alignment%d.Sector != 0 {
		return fmt.Errorf("unsupported sector size: %d bytes", d.Sector)
	}
	if d.Size < 3*alignment {
		return ErrSmall
	}
	return nil
}

// Write wipes both ends of the disk and writes the table.
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
