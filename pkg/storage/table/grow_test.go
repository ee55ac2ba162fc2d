package table

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// device returns a disk whose table was made for another size.
func device(t testing.TB, kind string, sector, made, size int64) *os.File {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	if err := file.Truncate(made); err != nil {
		t.Fatal(err)
	}
	layout, err := Make(kind, Disk{made, sector}, Identity{Disk: [16]byte{1, 2, 3, 4}, Partition: [16]byte{5}})
	if err != nil {
		t.Fatal(err)
	}
	if err := layout.Write(file, made); err != nil {
		t.Fatal(err)
	}
	if err := file.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return file
}

// The grown table must equal a new table for a disk of that size.
func TestGrow(t *testing.T) {
	for _, kind := range []string{"dos", "gpt"} {
		for _, sector := range []int64{512, 4096} {
			file := device(t, kind, sector, 8*mib, 20*mib+sector)
			disk := Disk{20*mib + sector, sector}
			table, err := Read(file, disk)
			if err != nil || len(table.Partitions) != 1 || !table.Partitions[0].Linux || table.Partitions[0].Start != mib {
				t.Fatalf("%s: %+v, %v", kind, table.Partitions, err)
			}
			growth, grows, err := table.Grow()
			if err != nil || !grows {
				t.Fatal(grows, err)
			}
			if err := growth.Write(file); err != nil {
				t.Fatal(err)
			}
			want := device(t, kind, sector, disk.Size, disk.Size)
			for _, at := range []int64{0, disk.Size - mib} {
				a, b := make([]byte, mib), make([]byte, mib)
				file.ReadAt(a, at)
				want.ReadAt(b, at)
				if !bytes.Equal(a, b) {
					t.Errorf("%s, sectors of %d: differs from a new table from byte %d", kind, sector, at)
				}
			}
			table, err = Read(file, disk)
			if err != nil || table.Partitions[0] != growth.Partition {
				t.Errorf("%+v, not %+v: %v", table.Partitions, growth.Partition, err)
			}
			if _, grows, err := table.Grow(); grows || err != nil {
				t.Error("grew again", err)
			}
		}
	}
}

func TestReadWithoutTable(t *testing.T) {
	fat := make([]byte, 4*mib)
	copy(fat[446:], "no bootable disk")
	copy(fat[510:], "\x55\xaa")
	for _, b := range [][]byte{make([]byte, 4*mib), fat} {
		if _, err := Read(bytes.NewReader(b), Disk{4 * mib, 512}); !errors.Is(err, ErrNone) {
			t.Error(err)
		}
	}
	if _, err := Read(bytes.NewReader(nil), Disk{4 * mib, 512}); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func TestReadRejectsInvalidTables(t *testing.T) {
	for want, change := range map[string]struct {
		kind        string
		at          int64
		number      uint64
		fixChecksum bool
	}{
		"64512 sectors from 0, of 16384":  {"dos", 454, 0xfc00_0000_0000, false},
		"16777215 sectors from 2048":      {"dos", 454, 0x00ffffff_00000800, false},
		"from 4294967295":                 {"dos", 454, 0xffffffff_ffffffff, false},
		"the GPT header is damaged":       {"gpt", 512, 0, false},
		"the GPT header checksum":         {"gpt", 512 + 56, 1, false},
		"invalid GPT: 4294967295 entries": {"gpt", 512 + 80, 0x80_ffffffff, true},
		"entries of 0 bytes":              {"gpt", 512 + 80, 0x00_00000080, true},
		"at sector 18446744073709551615":  {"gpt", 512 + 72, 1<<64 - 1, true},
		"the GPT entries checksum":        {"gpt", 1024 + 56, 1, false},
		"EOF":                             {"gpt", 512 + 72, 16384, true},
	} {
		file := device(t, change.kind, 512, 8*mib, 8*mib)
		var number [8]byte
		binary.LittleEndian.PutUint64(number[:], change.number)
		file.WriteAt(number[:], change.at)
		if change.fixChecksum {
			header := make([]byte, headerSize)
			file.ReadAt(header, 512)
			binary.LittleEndian.PutUint32(header[16:], checksum(header))
			file.WriteAt(header, 512)
		}
		if got, err := Read(file, Disk{8 * mib, 512}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v", want, got.Partitions, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, kind := range []string{"dos", "gpt"} {
		b := make([]byte, 4096)
		device(f, kind, 512, 8*mib, 8*mib).ReadAt(b, 0)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		// Correct the checksums, so that fuzzing gets past them.
		if len(b) >= 1024 {
			if length := binary.LittleEndian.Uint32(b[512+12:]); length >= headerSize && length <= 512 {
				binary.LittleEndian.PutUint32(b[512+16:], checksum(b[512:512+length]))
			}
		}
		disk := Disk{8 * mib, 512}
		table, err := Read(bytes.NewReader(b), disk)
		if err != nil {
			return
		}
		for _, p := range table.Partitions {
			if p.Start <= 0 || p.Size <= 0 || p.Start+p.Size > disk.Size {
				t.Fatalf("%+v", p)
			}
		}
		growth, grows, err := table.Grow()
		if err != nil || !grows {
			return
		}
		if p := growth.Partition; p.Size <= table.Partitions[0].Size || p.Start+p.Size > disk.Size {
			t.Fatalf("%+v", p)
		}
		for _, area := range growth.Areas {
			if area.At < 0 || area.At+int64(len(area.Bytes)) > disk.Size {
				t.Fatalf("%d bytes at %d", len(area.Bytes), area.At)
			}
		}
	})
}
