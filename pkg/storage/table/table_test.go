package table

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"
)

const mib = 1 << 20

func TestMakeAlignsPartition(t *testing.T) {
	for _, test := range []struct {
		kind         string
		size, sector int64
		want         int64
	}{
		{"dos", 100 * mib, 512, 99 * mib},
		{"dos", 100*mib + 512, 512, 99*mib + 512},
		{"dos", 100 * mib, 4096, 99 * mib},
		{"dos", 3 << 40, 512, (1<<32 - 1) * 512},
		// The copy of the table takes the last MiB.
		{"gpt", 100 * mib, 512, 98 * mib},
		{"gpt", 100 * mib, 4096, 98 * mib},
		{"gpt", 3 << 40, 512, 3<<40 - 2*mib},
		{"gpt", 3 * mib, 512, mib},
	} {
		layout, err := Make(test.kind, Disk{test.size, test.sector}, Identity{})
		if err != nil || layout.Start != mib || layout.Size != test.want {
			t.Errorf("%+v: %d bytes from %d, %v", test, layout.Size, layout.Start, err)
		}
		for _, area := range layout.Areas {
			if area.At < 0 || area.At+int64(len(area.Bytes)) > test.size {
				t.Errorf("%+v: writes at %d", test, area.At)
			}
			if end := area.At + int64(len(area.Bytes)); end > layout.Start && area.At < layout.Start+layout.Size {
				t.Errorf("%+v: the table at %d overlaps the partition", test, area.At)
			}
		}
	}
}

func TestMakeRejectsInvalidDisks(t *testing.T) {
	if _, err := Make("gpt", Disk{3*mib - 1, 512}, Identity{}); !errors.Is(err, ErrSmall) {
		t.Error(err)
	}
	for _, sector := range []int64{0, 256, 520} {
		if _, err := Make("dos", Disk{100 * mib, sector}, Identity{}); err == nil {
			t.Errorf("accepted sectors of %d bytes", sector)
		}
	}
	if _, err := Make("mbr", Disk{100 * mib, 512}, Identity{}); err == nil {
		t.Error("accepted mbr")
	}
}

func TestCHS(t *testing.T) {
	for lba, want := range map[int64]string{2048: "\x20\x21\x00", 1<<32 - 1: "\xfe\xff\xff", 300 * 255 * 63: "\x00\x41\x2c"} {
		if got := string(chs(lba)); got != want {
			t.Errorf("%d: %x", lba, got)
		}
	}
}

func TestGPTChecksums(t *testing.T) {
	layout, err := Make("gpt", Disk{100 * mib, 512}, Identity{Disk: [16]byte{7: 0xff, 8: 0xff}})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{1, 3} {
		header := append([]byte(nil), layout.Areas[i].Bytes[:headerSize]...)
		sum := binary.LittleEndian.Uint32(header[16:])
		copy(header[16:20], "\x00\x00\x00\x00")
		if crc32.ChecksumIEEE(header) != sum || binary.LittleEndian.Uint32(header[88:]) != crc32.ChecksumIEEE(layout.Areas[i-1].Bytes) {
			t.Errorf("header %d", i)
		}
		if header[56+7] != 0x4f || header[56+8] != 0xbf {
			t.Errorf("header %d: not a random UUID: %x", i, header[56:72])
		}
	}
}
