package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// ErrNone says that a disk is not divided.
var ErrNone = errors.New("no partition table")

// Partition is a part of a disk, in bytes.
type Partition struct {
	Number      int
	Start, Size int64
	// Linux says that it is for data of Linux: 83, or 0FC63DAF-8483-4772-8E79-3D69D8477DE4.
	Linux bool
}

// Table is what a disk says of its partitions, checked: they lie within the disk.
type Table struct {
	Partitions []Partition
	disk       Disk
	// The boot sector, and if there is one the header and the entries of a GPT.
	boot, header, entries []byte
}

// Read reads a table of either kind. The bytes may be anybody's.
func Read(device io.ReaderAt, disk Disk) (Table, error) {
	if err := disk.check(); err != nil {
		return Table{}, err
	}
	boot := make([]byte, disk.Sector)
	if _, err := device.ReadAt(boot, 0); err != nil {
		return Table{}, err
	}
	if boot[510] != 0x55 || boot[511] != 0xaa {
		return Table{}, ErrNone
	}
	t := Table{disk: disk, boot: boot}
	for i := range 4 {
		entry := boot[446+16*i:][:16]
		if entry[0]&^0x80 != 0 {
			// The code of a boot sector that begins a file system.
			return Table{}, ErrNone
		}
		if entry[4] == protective {
			return readGPT(device, disk, boot)
		}
		start, count := binary.LittleEndian.Uint32(entry[8:]), binary.LittleEndian.Uint32(entry[12:])
		if entry[4] == 0 || count == 0 {
			continue
		}
		if err := t.add(i+1, uint64(start), uint64(count), entry[4] == linux); err != nil {
			return Table{}, err
		}
	}
	return t, nil
}

// add takes a partition by its sectors.
func (t *Table) add(number int, start, count uint64, forLinux bool) error {
	sectors := uint64(t.disk.Size / t.disk.Sector)
	if start == 0 || start >= sectors || count > sectors-start {
		return fmt.Errorf("partition %d is not within the disk: %d sectors from %d, of %d", number, count, start, sectors)
	}
	t.Partitions = append(t.Partitions, Partition{number, int64(start) * t.disk.Sector, int64(count) * t.disk.Sector, forLinux})
	return nil
}

// maxEntries is as many bytes as a table may have: eight times what is usual.
const maxEntries = 8 * entries * entrySize

func readGPT(device io.ReaderAt, disk Disk, boot []byte) (Table, error) {
	t := Table{disk: disk, boot: boot, header: make([]byte, disk.Sector)}
	if _, err := device.ReadAt(t.header, disk.Sector); err != nil {
		return Table{}, err
	}
	length := binary.LittleEndian.Uint32(t.header[12:])
	if string(t.header[:8]) != "EFI PART" || length < headerSize || int64(length) > disk.Sector {
		return Table{}, errors.New("the header of the GPT is damaged")
	}
	if checksum(t.header[:length]) != binary.LittleEndian.Uint32(t.header[16:]) {
		return Table{}, errors.New("the header of the GPT has another sum")
	}
	at, count, size := binary.LittleEndian.Uint64(t.header[72:]), binary.LittleEndian.Uint32(t.header[80:]), binary.LittleEndian.Uint32(t.header[84:])
	if size < entrySize || size > 4096 || size%entrySize != 0 || count == 0 || count > maxEntries/size ||
		at < 2 || at > uint64(disk.Size/disk.Sector) || binary.LittleEndian.Uint64(t.header[24:]) != 1 {
		return Table{}, fmt.Errorf("the GPT cannot have %d entries of %d bytes at sector %d", count, size, at)
	}
	t.entries = make([]byte, count*size)
	if _, err := device.ReadAt(t.entries, int64(at)*disk.Sector); err != nil {
		return Table{}, err
	}
	if crc32.ChecksumIEEE(t.entries) != binary.LittleEndian.Uint32(t.header[88:]) {
		return Table{}, errors.New("the entries of the GPT have another sum")
	}
	for i := range int(count) {
		entry := t.entries[i*int(size):][:entrySize]
		if [16]byte(entry) == [16]byte{} {
			continue
		}
		first, last := binary.LittleEndian.Uint64(entry[32:]), binary.LittleEndian.Uint64(entry[40:])
		if first > last || last == 1<<64-1 {
			return Table{}, fmt.Errorf("partition %d ends before it begins", i+1)
		}
		if err := t.add(i+1, first, last-first+1, [16]byte(entry) == linuxType); err != nil {
			return Table{}, err
		}
	}
	return t, nil
}

// checksum is that of a header, in which there is a zero where the sum is.
func checksum(header []byte) uint32 {
	b := append([]byte(nil), header...)
	clear(b[16:20])
	return crc32.ChecksumIEEE(b)
}
