package disk

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// image returns a device of 80 KiB with the given bytes.
func image(parts map[int]string) *bytes.Reader {
	b := make([]byte, 80<<10)
	for at, text := range parts {
		copy(b[at:], text)
	}
	return bytes.NewReader(b)
}

const (
	id     = "\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef"
	idText = "01234567-89ab-cdef-0123-456789abcdef"
)

func TestProbe(t *testing.T) {
	for _, test := range []struct {
		want  Filesystem
		parts map[int]string
	}{
		{Filesystem{"ext4", "sixteen letters!", idText}, map[int]string{1080: "\x53\xef", 1116: "\x04\x00\x00\x00\xc2\x02", 1128: id, 1144: "sixteen letters!"}},
		{Filesystem{"ext3", "", ""}, map[int]string{1080: "\x53\xef", 1116: "\x04\x00\x00\x00\x02"}},
		{Filesystem{"ext2", "a b", ""}, map[int]string{1080: "\x53\xef", 1116: "\x00\x00\x00\x00\x02", 1144: "a b"}},
		{Filesystem{"xfs", "data", idText}, map[int]string{0: "XFSB", 32: id, 108: "data"}},
		{Filesystem{"btrfs", "data", idText}, map[int]string{65568: id, 65600: "_BHRfS_M", 65835: "data"}},
		{Filesystem{"vfat", "EFI", ""}, map[int]string{71: "EFI        ", 82: "FAT32   "}},
		{Filesystem{"iso9660", "CIDATA", ""}, map[int]string{32769: "CD001", 32808: "CIDATA    "}},
		{Filesystem{"swap", "", ""}, map[int]string{4086: "SWAPSPACE2"}},
		{Filesystem{"crypto_LUKS", "", ""}, map[int]string{0: "LUKS\xba\xbe"}},
	} {
		if got, err := Probe(image(test.parts)); err != nil || got != test.want {
			t.Errorf("%v: got %v, %v", test.want, got, err)
		}
	}
	if _, err := Probe(image(nil)); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
	if _, err := Probe(bytes.NewReader([]byte("XF"))); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
	if _, err := Probe(image(map[int]string{0: "XFSB", 1080: "\x53\xef"})); !errors.Is(err, ErrAmbiguous) {
		t.Error(err)
	}
}

func TestExtentOfRejectsBtrfs(t *testing.T) {
	for want, parts := range map[string]map[int]string{
		"on 2 devices":           {65536 + 136: "\x02"},
		"on 0 devices":           {},
		"no sector size":         {65536 + 136: "\x01"},
		"3 blocks of 4096 bytes": {65536 + 136: "\x01", 65536 + 145: "\x10", 65536 + 210: "\x30"},
		"blocks of 12288 bytes":  {65536 + 136: "\x01", 65536 + 145: "\x30", 65536 + 210: "\x30"},
	} {
		if got, err := ExtentOf(image(parts), "btrfs", 8192); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v", want, got, err)
		}
	}
}

func TestPartition(t *testing.T) {
	for drive, want := range map[string]string{
		"/dev/sda": "/dev/sda1", "/dev/nvme0n1": "/dev/nvme0n1p1", "/dev/mmcblk0": "/dev/mmcblk0p1", "/dev/nvme0n9": "/dev/nvme0n9p1",
	} {
		if got := Partition(drive, 1); got != want {
			t.Errorf("%s: %s", drive, got)
		}
	}
}

func TestDrivesAndVolumes(t *testing.T) {
	sys := t.TempDir()
	for name, size := range map[string]string{"sdb": "0", "sda": "8", "loop1": "8", "cciss!c0d0": "8"} {
		for _, parent := range []string{"block", "class/block"} {
			directory := filepath.Join(sys, parent, name)
			if err := os.MkdirAll(directory, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(directory, "size"), []byte(size+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	dirs := Dirs{Sys: sys, Dev: "/dev"}
	for want, list := range map[string]func() ([]string, error){
		"[/dev/cciss/c0d0 /dev/sda]":            dirs.Drives,
		"[/dev/cciss/c0d0 /dev/loop1 /dev/sda]": dirs.Volumes,
	} {
		got, err := list()
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s: got %v, %v", want, got, err)
		}
	}
}

func FuzzProbe(f *testing.F) {
	f.Add([]byte("XFSB"))
	f.Add(bytes.Repeat([]byte("FAT16   \x53\xef"), 300))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Probe(bytes.NewReader(b))
		if err == nil && got.Check() != nil || (err == nil) != (got.Type != "") || len(got.Label) > 256 || got.UUID != "" && len(got.UUID) != len(idText) {
			t.Fatalf("%+v, %v", got, err)
		}
	})
}

func FuzzExtents(f *testing.F) {
	f.Add(bytes.Repeat([]byte{0}, 2048))
	f.Add(bytes.Repeat([]byte{0, 0, 16, 0}, 600))
	f.Add(bytes.Repeat([]byte{1, 0, 0, 0, 0, 0, 0, 0}, 9000))
	f.Fuzz(func(t *testing.T, b []byte) {
		IsUnusedExt4(bytes.NewReader(b))
		for _, kind := range []string{"ext4", "xfs", "btrfs"} {
			if e, err := ExtentOf(bytes.NewReader(b), kind, 1<<40); err == nil && (e.Size() == 0 || e.Size() > 1<<40) {
				t.Fatalf("%s: %+v", kind, e)
			}
		}
	})
}
