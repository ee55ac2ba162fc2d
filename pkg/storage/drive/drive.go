// Package drive opens disks for writing, and updates the kernel's partition list.
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

// margin is how much must be zero at both ends of an empty disk. Partition tables, file systems,
// RAID and volume managers have their signatures there. It also protects raw data, which has no
// signature.
const margin = 4 << 20

// ErrNotEmpty means that a disk has data.
var ErrNotEmpty = errors.New("is not empty")

// Drive is a disk or partition that is open for writing, exclusively.
type Drive struct {
	File *os.File
	Path string
	Size int64 // bytes
}

// Open opens a device. It fails if a file system on it is mounted, or if the kernel uses it
// otherwise.
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

// OpenEmpty opens a device only if it is empty. The check uses the open file, so that the device
// cannot be exchanged in between.
func OpenEmpty(path string, prober disk.Prober) (*Drive, error) {
	d, err := Open(path)
	if err != nil {
		return nil, err
	}
	if err := d.CheckEmpty(prober); err != nil {
		d.File.Close()
		return nil, err
	}
	return d, nil
}

// CheckEmpty returns [ErrNotEmpty] with the data found, unless the device is empty.
func (d *Drive) CheckEmpty(prober disk.Prober) error {
	switch found, err := prober.Filesystem(d.File); {
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
				return fmt.Errorf("%s %w: data at byte %d", d.Path, ErrNotEmpty, at+int64(i))
			}
		}
	}
	return nil
}

// SectorSize returns the size of a logical sector in bytes.
func (d *Drive) SectorSize() (int64, error) {
	size, err := unix.IoctlGetInt(int(d.File.Fd()), unix.BLKSSZGET)
	if err != nil {
		return 0, fmt.Errorf("%s: get sector size: %w", d.Path, err)
	}
	return int64(size), nil
}

// maxPartitions is the kernel's limit for a disk.
const maxPartitions = 255

// Announce makes the kernel replace all partitions of the disk by a single one. Unlike a re-read of
// the table, this works without support for the table's type.
func (d *Drive) Announce(start, size int64) error {
	for number := range maxPartitions {
		err := d.partition(unix.BLKPG_DEL_PARTITION, unix.BlkpgPartition{Pno: int32(number + 1)})
		if err != nil && !errors.Is(err, unix.ENXIO) {
			return fmt.Errorf("remove old partition %d: %w", number+1, err)
		}
	}
	return d.partition(unix.BLKPG_ADD_PARTITION, unix.BlkpgPartition{Start: start, Length: size, Pno: 1})
}

// Resize tells the kernel the new size of a partition.
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

// showTimeout is how long the kernel may take to show a partition.
const showTimeout = 10 * time.Second

// Wait waits until the partition has the given size. Until then, path may refer to a partition of
// the old table.
func Wait(path string, size int64) error {
	for end := time.Now().Add(showTimeout); ; time.Sleep(20 * time.Millisecond) {
		found, err := SizeOf(path)
		if err == nil && found == size {
			return nil
		}
		if time.Now().After(end) {
			if err == nil {
				err = fmt.Errorf("%s has %d bytes, not %d", path, found, size)
			}
			return fmt.Errorf("the new partition did not appear: %w", err)
		}
	}
}

// SizeOf returns the size of a block device in bytes.
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
