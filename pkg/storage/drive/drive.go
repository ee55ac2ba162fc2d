// Package drive opens disks to write to them, and tells the kernel how they are divided.
package drive

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lkt/storage/disk"
)

// margin is what has to be zero at both ends of an empty disk. Partition tables, file systems, RAID and volume managers leave
// their marks there; so does data that is written to a disk without any, whose beginning no list of marks could tell from nothing.
const margin = 4 << 20

// ErrNotEmpty says that there is something on a disk.
var ErrNotEmpty = errors.New("is not empty")

// Drive is a disk, or a partition, that nobody else uses: it is open for writing, exclusively.
type Drive struct {
	File *os.File
	Path string
	Size int64 // bytes
}

// Open fails where a file system of the disk is mounted, or anything else of the kernel holds it.
func Open(path string) (*Drive, error) {
	file, err := os.OpenFile(path, os.O_RDWR|unix.O_EXCL|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.EBUSY) {
		return nil, fmt.Errorf("%s is in use", path)
	}
	if err != nil {
		return nil, err
	}
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		file.Close()
		return nil, err
	}
	return &Drive{file, path, size}, nil
}

// OpenEmpty opens a disk only if it is empty. The same file is written to later: what was looked at cannot have been exchanged.
func OpenEmpty(path string) (*Drive, error) {
	d, err := Open(path)
	if err != nil {
		return nil, err
	}
	if err := d.CheckEmpty(); err != nil {
		d.File.Close()
		return nil, err
	}
	return d, nil
}

// CheckEmpty gives [ErrNotEmpty] with what is on the disk.
func (d *Drive) CheckEmpty() error {
	switch found, err := disk.Probe(d.File); {
	case err == nil:
		return fmt.Errorf("%s %w: %s", d.Path, ErrNotEmpty, found)
	case !errors.Is(err, disk.ErrNone):
		return fmt.Errorf("%s %w: %w", d.Path, ErrNotEmpty, err)
	}
	buffer := make([]byte, min(margin, d.Size))
	for _, at := range []int64{0, d.Size - int64(len(buffer))} {
		if _, err := d.File.ReadAt(buffer, at); err != nil {
			return err
		}
		for i, b := range buffer {
			if b != 0 {
				return fmt.Errorf("%s %w: there is something at byte %d", d.Path, ErrNotEmpty, at+int64(i))
			}
		}
	}
	return nil
}

// SectorSize is that of a logical sector, in bytes.
func (d *Drive) SectorSize() (int64, error) {
	size, err := unix.IoctlGetInt(int(d.File.Fd()), unix.BLKSSZGET)
	if err != nil {
		return 0, fmt.Errorf("%s: size of a sector: %w", d.Path, err)
	}
	return int64(size), nil
}

// maxPartitions is what the kernel gives a disk at most.
const maxPartitions = 255

// Announce tells the kernel of the one partition, and to forget all others. It need not be able to read the table, and
// cannot take it for another one.
func (d *Drive) Announce(start, size int64) error {
	for number := range maxPartitions {
		err := d.partition(unix.BLKPG_DEL_PARTITION, unix.BlkpgPartition{Pno: int32(number + 1)})
		if err != nil && !errors.Is(err, unix.ENXIO) {
			return fmt.Errorf("partition %d of before: %w", number+1, err)
		}
	}
	return d.partition(unix.BLKPG_ADD_PARTITION, unix.BlkpgPartition{Start: start, Length: size, Pno: 1})
}

// Resize tells the kernel of the new size of a partition it knows.
func (d *Drive) Resize(number int, start, size int64) error {
	return d.partition(unix.BLKPG_RESIZE_PARTITION, unix.BlkpgPartition{Start: start, Length: size, Pno: int32(number)})
}

func (d *Drive) partition(op int32, partition unix.BlkpgPartition) error {
	argument := unix.BlkpgIoctlArg{
		Op: op, Datalen: int32(unsafe.Sizeof(partition)), Data: (*byte)(unsafe.Pointer(&partition)),
	}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, d.File.Fd(), unix.BLKPG, uintptr(unsafe.Pointer(&argument)))
	runtime.KeepAlive(&partition)
	if errno != 0 {
		return errno
	}
	return nil
}

// patience is how long the kernel may take to show a partition.
const patience = 10 * time.Second

// Wait is over when a partition has the size that the table gives it: before, its path may lead to one of the old table.
func Wait(path string, size int64) error {
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		found, err := SizeOf(path)
		if err == nil && found == size {
			return nil
		}
		if time.Now().After(end) {
			if err == nil {
				err = fmt.Errorf("%s has %d bytes, not %d", path, found, size)
			}
			return fmt.Errorf("the kernel does not show the new partition: %w", err)
		}
	}
}

// SizeOf is the size of a block device, in bytes.
func SizeOf(path string) (int64, error) {
	if err := disk.IsBlockDevice(path); err != nil {
		return 0, err
	}
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return file.Seek(0, io.SeekEnd)
}
