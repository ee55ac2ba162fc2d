package table

import (
	"encoding/binary"
	"hash/crc32"
)

const (
	entries    = 128
	entrySize  = 128
	headerSize = 92
)

// 0FC63DAF-8483-4772-8E79-3D69D8477DE4, the type of Linux file systems, in the byte order of the
// table.
var linuxType = [16]byte{0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4}

// gpt lays out a GPT (UEFI specification 2.10, chapter 5): a protective boot sector, a header and
// entries at the start, and a copy of both at the end.
func gpt(disk Disk, id Identity) Layout {
	last := disk.Size/disk.Sector - 1
	perTable := int64(entries * entrySize / disk.Sector)
	first, end := 2+perTable, last-perTable-1
	start := alignment / disk.Sector
	// Up to a MiB boundary.
	stop := (end+1)/start*start - 1

	list := make([]byte, entries*entrySize)
	copy(list, linuxType[:])
	copy(list[16:], random(id.Partition))
	binary.LittleEndian.PutUint64(list[32:], uint64(start))
	binary.LittleEndian.PutUint64(list[40:], uint64(stop))

	header := func(self, other, table int64) []byte {
		h := make([]byte, disk.Sector)
		copy(h, "EFI PART\x00\x00\x01\x00")
		binary.LittleEndian.PutUint32(h[12:], headerSize)
		binary.LittleEndian.PutUint64(h[24:], uint64(self))
		binary.LittleEndian.PutUint64(h[32:], uint64(other))
		binary.LittleEndian.PutUint64(h[40:], uint64(first))
		binary.LittleEndian.PutUint64(h[48:], uint64(end))
		copy(h[56:], random(id.Disk))
		binary.LittleEndian.PutUint64(h[72:], uint64(table))
		binary.LittleEndian.PutUint32(h[80:], entries)
		binary.LittleEndian.PutUint32(h[84:], entrySize)
		binary.LittleEndian.PutUint32(h[88:], crc32.ChecksumIEEE(list))
		binary.LittleEndian.PutUint32(h[16:], crc32.ChecksumIEEE(h[:headerSize]))
		return h
	}
	return Layout{
		// The copy first, so that an interrupted write leaves either no table or a complete one.
		Areas: []Area{
			{(last - perTable) * disk.Sector, list},
			{last * disk.Sector, header(last, 1, last-perTable)},
			{2 * disk.Sector, list},
			{disk.Sector, header(1, last, 2)},
			{0, bootSector(disk, protective, 1, min(last, maxSectors))},
		},
		Start: start * disk.Sector,
		Size:  (stop - start + 1) * disk.Sector,
	}
}

// random marks a UUID as random (RFC 9562, version 4). Its first three fields are little-endian
// here.
func random(id [16]byte) []byte {
	id[7] = id[7]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id[:]
}
