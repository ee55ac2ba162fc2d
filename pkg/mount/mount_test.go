package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lkt/storage/disktest"
)

const (
	id     = "\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef"
	idText = "01234567-89ab-cdef-0123-456789abcdef"
)

type content = disktest.Content

var (
	table   = content{510: "\x55\xaa"}
	efi     = content{71: "EFI        ", 82: "FAT32   "}
	xfsData = content{0: "XFSB", 32: id, 108: "data"}
	ext4    = content{1080: "\x53\xef", 1116: "\x04\x00\x00\x00\x40\x00\x00\x00"}
	swap    = content{1036: id, 1052: "swap", 4086: "SWAPSPACE2"}
)

func TestFind(t *testing.T) {
	dirs := disktest.Machine(t, 1<<20, map[string]content{
		"vda": table, "vda1": efi, "vda2": ext4, "vdb": table, "vdb1": xfsData, "vdc": ext4, "loop0": table, "loop1": swap,
	})
	for name, test := range map[string]struct {
		query query
		want  string
	}{
		"first data partition, not EFI": {query{}, "vda2"},
		"label":                         {query{label: "data"}, "vdb1"},
		"label before UUID":             {query{label: "EFI", uuid: idText}, "vda1"},
		"upper-case UUID on any device": {query{uuid: strings.ToUpper(idText)}, "loop1"},
	} {
		got, err := find(disktest.Parser{}, dirs, test.query)
		if err != nil || filepath.Base(got.path) != test.want {
			t.Errorf("%s: %s, %v", name, got.path, err)
		}
	}
	for _, w := range []query{{label: "dat"}, {uuid: "0"}, {device: "/dev/null"}, {device: "/dev/absent"}} {
		if got, err := find(disktest.Parser{}, dirs, w); err == nil {
			t.Errorf("%s: %s", w, got.path)
		}
	}
	only := disktest.Machine(t, 1<<20, map[string]content{"vda": table, "vda1": efi, "vdc": ext4})
	if got, err := find(disktest.Parser{}, only, query{}); err == nil {
		t.Errorf("accepted a whole disk or an EFI partition: %s", got.path)
	}
}

func TestLink(t *testing.T) {
	dirs := disktest.Machine(t, 1<<20, map[string]content{"vda": table, "vda1": xfsData, "vdb": xfsData, "vdc": ext4})
	for range 2 {
		if err := link(disktest.Parser{}, dirs); err != nil {
			t.Fatal(err)
		}
	}
	directory := filepath.Join(dirs.Dev, "disk/by-uuid")
	links, err := os.ReadDir(directory)
	if err != nil || len(links) != 1 || links[0].Name() != idText {
		t.Fatal(links, err)
	}
	if target, err := os.Readlink(filepath.Join(directory, idText)); err != nil || target != "../../vda1" {
		t.Error(target, err)
	}
}
