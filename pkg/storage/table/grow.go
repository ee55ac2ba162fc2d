package table

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
)

// Growth is a table whose only partition extends to the end of the disk.
type Growth struct {
	Partition Partition // after growing
	Areas     []Area
}

// Grow enlarges the only partition as far as the disk allows, and preserves everything else. It
// returns false if there is no room.
func (t Table) Grow() (Growth, bool, error) {
	if len(t.Partitions) != 1 {
		return Growth{}, false, fmt.Errorf("it has %d partitions, expected one", len(t.Partitions))
	}
	p := t.Partitions[0]
	start, last := p.Start/t.disk.Sector, t.disk.Size/t.disk.Sector-1
	if t.header == nil {
		count := min(last+1-start, maxSectors)
		grown := Partition{p.Number, p.Start, count * t.disk.Sector, p.Linux}
		return Growth{grown, []Area{{0, t.growDOS(p.Number, start, count)}}}, grown.Size > p.Size, nil
	}
	perTable := (int64(len(t.entries)) + t.disk.Sector - 1) / t.disk.Sector
	align := alignment / t.disk.Sector
	stop := (last-perTable)/align*align - 1
	grown := Partition{p.Number, p.Start, (stop - start + 1) * t.disk.Sector, p.Linux}
	if grown.Size <= p.Size {
		return Growth{p, nil}, false, nil
	}
	return Growth{grown, t.growGPT(p.Number, stop, last, perTable)}, true, nil
}

func (t Table) growDOS(number int, start, count int64) []byte {
	boot := slices.Clone(t.boot)
	entry := boot[446+16*(number-1):][:16]
	copy(entry[5:8], chs(start+count-1))
	binary.LittleEndian.PutUint32(entry[12:], uint32(count))
	return boot
}

// growGPT returns the areas to write. The copy moves to the new end.
func (t Table) growGPT(number int, stop, last, perTable int64) []Area {
	list := slices.Clone(t.entries)
	size := len(list) / int(binary.LittleEndian.Uint32(t.header[80:]))
	binary.LittleEndian.PutUint64(list[(number-1)*size+40:], uint64(stop))

	header := func(self, other, table int64) []byte {
		h := slices.Clone(t.header)
		binary.LittleEndian.PutUint64(h[24:], uint64(self))
		binary.LittleEndian.PutUint64(h[32:], uint64(other))
		binary.LittleEndian.PutUint64(h[48:], uint64(last-perTable-1))
		binary.LittleEndian.PutUint64(h[72:], uint64(table))
		binary.LittleEndian.PutUint32(h[88:], crc32.ChecksumIEEE(list))
		binary.LittleEndian.PutUint32(h[16:], checksum(h[:binary.LittleEndian.Uint32(h[12:])]))
		return h
	}
	first := int64(binary.LittleEndian.Uint64(t.header[72:]))
	boot := slices.Clone(t.boot)
	for i := range 4 {
		if entry := boot[446+16*i:][:16]; entry[4] == protective {
			binary.LittleEndian.PutUint32(entry[12:], uint32(min(last, maxSectors)))
			copy(entry[5:8], chs(min(last, maxSectors)))
		}
	}
	// The copy first, so that an interrupted write leaves at least one complete table.
	return []Area{
		{(last - perTable) * t.disk.Sector, list},
		{last * t.disk.Sector, header(last, 1, last-perTable)},
		{first * t.disk.Sector, list},
		{t.disk.Sector, header(1, last, first)},
		{0, boot},
	}
}

// Write writes the table. It syncs each area before it writes the next.
func (g Growth) Write(file *os.File) error {
	for _, area := range g.Areas {
		if err := write(file, []Area{area}); err != nil {
			return err
		}
	}
	return nil
}
