package table

import "encoding/binary"

const (
	linux      = 0x83
	protective = 0xee
	// The table has 32-bit sector counts.
	maxSectors = 1<<32 - 1
)

func dos(disk Disk, id Identity) Layout {
	start := alignment / disk.Sector
	// The space beyond 2 TiB (with sectors of 512 bytes) stays unused.
	count := min(disk.Size/disk.Sector-start, maxSectors)
	sector := bootSector(disk, linux, start, count)
	copy(sector[440:444], id.Disk[:4])
	return Layout{
		Areas: []Area{{0, sector}},
		Start: alignment,
		Size:  count * disk.Sector,
	}
}

// bootSector returns a boot sector with one partition and no boot code.
func bootSector(disk Disk, kind byte, start, count int64) []byte {
	sector := make([]byte, disk.Sector)
	entry := sector[446:462]
	copy(entry[1:4], chs(start))
	entry[4] = kind
	copy(entry[5:8], chs(start+count-1))
	binary.LittleEndian.PutUint32(entry[8:], uint32(start))
	binary.LittleEndian.PutUint32(entry[12:], uint32(count))
	sector[510], sector[511] = 0x55, 0xaa
	return sector
}

// chs returns an address as cylinder, head and sector, for a BIOS geometry of 255 heads and 63
// sectors.
func chs(lba int64) []byte {
	cylinder, head, sector := lba/(255*63), lba/63%255, lba%63+1
	if cylinder > 1023 {
		cylinder, head, sector = 1023, 254, 63
	}
	return []byte{byte(head), byte(sector | cylinder>>8<<6), byte(cylinder)}
}
