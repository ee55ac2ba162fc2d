package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// ErrNone means that a disk has no partition table.
var ErrNone = errors.New("no partition table")

// Partition is a partition of a disk, in bytes.
type Partition struct {
	Number      int
	Start, Size int64
	// Linux reports the partition type for Linux data: 83, or 0FC63DAF-8483-4772-8E79-3D69D8477DE4.
	Linux bool
}

// Table is a partition table whose partitions lie within the disk.
type Table struct {
	Partitions []Partition
	disk       Disk
	// The boot sector; and for a GPT, the header and the entries.
	boot, header, entries []byte
}

// Read reads and validates a table of either type. The disk is untrusted.
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
			// The boot code of a file system's boot sector.
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

// add adds a partition given in sectors.
func (t *Table) add(number int, start, count uint64, forLinux bool) error {
	sectors := uint64(t.disk.Size / t.disk.Sector)
	if start == 0 || start >= sectors || count > sectors-start {
		return fmt.Errorf("partition %d is outside the disk: %d sectors from %d, of %d", number, count, start, sectors)
	}
	t.Partitions = append(t.Partitions, Partition{number, int64(start) * t.disk.Sector, int64(count) * t.disk.Sector, forLinux})
	return nil
}

// maxEntries limits the size of the entries in bytes: eight times the usual size.
const maxEntries = 8 * entries * entrySize

func readGPT(device io.ReaderAt, disk Disk, boot []byte) (Table, error) {
	t := Table{disk: disk, boot: boot, header: make([]byte, disk.Sector)}
	if _, err := device.ReadAt(t.header, disk.Sector); err != nil {
		return Table{}, err
	}
	length := binary.LittleEndian.Uint32(t.header[12:])
	if string(t.header[:8]) != "EFI PART" || length < headerSize || int64(length) > disk.Sector {
		return Table{}, errors.New("the GPT header is damaged")
	}
	if checksum(t.header[:length]) != binary.LittleEndian.Uint32(t.header[16:]) {
		return Table{}, errors.New("the GPT header checksum does not match")
	}
	at, count, size := binary.LittleEndian.Uint64(t.header[72:]), binary.LittleEndian.Uint32(t.header[80:]), binary.LittleEndian.Uint32(t.header[84:])
	if size < entrySize || size > 4096 || size%entrySize != 0 || count == 0 || count > maxEntries/size ||
		at < 2 || at > uint64(disk.Size/disk.Sector) || binary.LittleEndian.Uint64(t.header[24:]) != 1 {
		return Table{}, fmt.Errorf("invalid GPT: %d entries of %d bytes at sector %d", count, size, at)
	}
	t.entries = make([]byte, count*size)
	if _, err := device.ReadAt(t.entries, int64(at)*disk.Sector); err != nil {
		return Table{}, err
	}
	if crc32.ChecksumIEEE(t.entries) != binary.LittleEndian.Uint32(t.header[88:]) {
		return Table{}, errors.New("the GPT entries checksum does not match")
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

// checksum returns the checksum of a header, with the checksum field zeroed.
func checksum(header []byte) uint32 {
	b := append([]byte(nil), header...)
	clear(b[16:20])
	return crc32.ChecksumIEEE(b)
}
