package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lkt/storage/disk"
	"lkt/storage/disktest"
)

var parser = disktest.Parser{}

// Compared with the programs that create file systems.
func TestExtents(t *testing.T) {
	for _, test := range []struct {
		kind string
		make []string
		size int64
		want disk.Extent
	}{
		{"ext4", []string{"mke2fs", "-q", "-F", "-b", "1024"}, 8 << 20, disk.Extent{Block: 1024, Blocks: 8192}},
		{"ext4", []string{"mke2fs", "-q", "-F", "-t", "ext4", "-O", "64bit", "-b", "4096"}, 64 << 20, disk.Extent{Block: 4096, Blocks: 16384}},
		{"xfs", []string{"mkfs.xfs", "-q", "-i", "maxpct=40"}, 300 << 20, disk.Extent{Block: 4096, Blocks: 76800, Inodes: 40}},
		{"btrfs", []string{"mkfs.btrfs", "-q"}, 128 << 20, disk.Extent{Block: 4096, Blocks: 32768, Device: 1}},
	} {
		path := filepath.Join(t.TempDir(), "disk")
		disktest.Put(t, path, nil)
		if err := os.Truncate(path, test.size); err != nil {
			t.Fatal(err)
		}
		if output, err := exec.Command(test.make[0], append(test.make[1:], path)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
		if got, err := extentOf(parser, path, test.kind, test.size); err != nil || got != test.want {
			t.Errorf("%v: %+v, %v", test.make, got, err)
		}
		if got, err := extentOf(parser, path, test.kind, test.size-1); err == nil {
			t.Errorf("%v: accepted a size beyond the device: %+v", test.make, got)
		}
		if err := check(parser, path, test.kind, test.size); err != nil {
			t.Error(err)
		}
		for other := range growers {
			if err := check(parser, path, other, test.size); other != test.kind && (err == nil || !strings.Contains(err.Error(), "expected "+other)) {
				t.Errorf("%s as %s: %v", test.kind, other, err)
			}
		}
	}
}

func TestRunRejectsInvalidRequests(t *testing.T) {
	machine := disktest.Machine(t, 4<<20, nil)
	for want, r := range map[string]struct {
		kind   string
		drives []string
	}{
		"type \"jfs\"":              {"jfs", nil},
		"is not a block device":     {"ext4", []string{"/dev/null"}},
		"no such file or directory": {"xfs", []string{"/dev/absent"}},
	} {
		if err := run(parser, machine, r.kind, true, r.drives); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if err := run(parser, machine, "ext4", true, nil); err != nil {
		t.Error(err)
	}
	if err := run(parser, disk.Dirs{Sys: "/absent"}, "ext4", true, nil); err == nil {
		t.Error("accepted a missing directory")
	}
}
