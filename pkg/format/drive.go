package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"lkt/format/disk"
	"lkt/format/table"
)

// margin is what has to be zero at both ends of an empty disk. Partition tables, file systems, RAID and volume managers leave
// their marks there; so does data that is written to a disk without any, whose beginning no list of marks could tell from nothing.
const margin = 4 << 20

var errNotEmpty = errors.New("is not empty")

// drive is a disk that nobody else uses: it is open for writing, exclusively.
type drive struct {
	file *os.File
	path string
	size int64
}

// open fails where a file system of the disk is mounted, or anything else of the kernel holds it.
func open(path string) (*drive, error) {
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
	return &drive{file, path, size}, nil
}

// openEmpty opens a disk only if it is empty. The same file is written to later: what was looked at cannot have been exchanged.
func openEmpty(path string) (*drive, error) {
	d, err := open(path)
	if err != nil {
		return nil, err
	}
	if err := d.checkEmpty(); err != nil {
		d.file.Close()
		return nil, err
	}
	return d, nil
}

func (d *drive) checkEmpty() error {
	switch found, err := disk.Probe(d.file); {
	case err == nil:
		return fmt.Errorf("%s %w: %s", d.path, errNotEmpty, found)
	case !errors.Is(err, disk.ErrNone):
		return fmt.Errorf("%s %w: %w", d.path, errNotEmpty, err)
	}
	buffer := make([]byte, min(margin, d.size))
	for _, at := range []int64{0, d.size - int64(len(buffer))} {
		if _, err := d.file.ReadAt(buffer, at); err != nil {
			return err
		}
		for i, b := range buffer {
			if b != 0 {
				return fmt.Errorf("%s %w: there is something at byte %d", d.path, errNotEmpty, at+int64(i))
			}
		}
	}
	return nil
}

// write replaces what the ends of the disk say by a partition table.
func (d *drive) write(layout table.Layout) error {
	zero := make([]byte, layout.Start)
	for _, area := range append([]table.Area{
		{At: 0, Bytes: zero}, {At: d.size - int64(len(zero)), Bytes: zero},
	}, layout.Areas...) {
		if _, err := d.file.WriteAt(area.Bytes, area.At); err != nil {
			return err
		}
	}
	return d.file.Sync()
}

func (d *drive) sectorSize() (int64, error) {
	size, err := unix.IoctlGetInt(int(d.file.Fd()), unix.BLKSSZGET)
	return int64(size), err
}

// maxPartitions is what the kernel gives a disk at most.
const maxPartitions = 255

// announce tells the kernel of the one partition, and to forget all others. It need not be able to read the table, and
// cannot take it for another one.
func (d *drive) announce(layout table.Layout) error {
	for number := range maxPartitions {
		err := d.partition(unix.BLKPG_DEL_PARTITION, unix.BlkpgPartition{Pno: int32(number + 1)})
		if err != nil && !errors.Is(err, unix.ENXIO) {
			return fmt.Errorf("partition %d of before: %w", number+1, err)
		}
	}
	return d.partition(unix.BLKPG_ADD_PARTITION, unix.BlkpgPartition{Start: layout.Start, Length: layout.Size, Pno: 1})
}

func (d *drive) partition(op int32, partition unix.BlkpgPartition) error {
	argument := unix.BlkpgIoctlArg{
		Op: op, Datalen: int32(unsafe.Sizeof(partition)), Data: (*byte)(unsafe.Pointer(&partition)),
	}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, d.file.Fd(), unix.BLKPG, uintptr(unsafe.Pointer(&argument)))
	runtime.KeepAlive(&partition)
	if errno != 0 {
		return errno
	}
	return nil
}
