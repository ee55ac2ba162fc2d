package main

import (
	"path/filepath"
	"strings"
	"testing"

	"lkt/storage/disktest"
)

// machine has files of 10 MiB for disks.
func machine(t *testing.T, disks map[string]content) chooser {
	t.Helper()
	return chooser{places: disktest.Machine(t, 10<<20, disks), note: t.Logf}
}

type content = disktest.Content

var (
	empty    = content{}
	divided  = content{510: "\x55\xaa"}
	xfsData  = content{0: "XFSB", 108: "data"}
	ext4Data = content{1080: "\x53\xef", 1116: "\x04\x00\x00\x00\x40\x00\x00\x00", 1144: "data"}
)

func TestChoice(t *testing.T) {
	for name, test := range map[string]struct {
		disks map[string]content
		label string
		want  string // the disk to write to
		there string // or where it is already
		err   string
	}{
		"the first empty one": {
			disks: map[string]content{"vda": divided, "vdb": empty, "vdc": empty}, want: "vdb",
		},
		"no disk a program made, no other medium, no partition": {
			disks: map[string]content{"loop0": empty, "nbd0": empty, "sr0": empty, "dm-0": empty, "md0": empty, "zram0": empty,
				"mmcblk0boot0": empty, "vda": divided, "vda1": empty},
			err: "none of the 1 disks is empty, and none has ext4",
		},
		"a card, and a name with digits": {
			disks: map[string]content{"nvme0n1": empty, "mmcblk0": empty}, want: "mmcblk0",
		},
		"what no list of marks knows is something, too": {
			disks: map[string]content{"vda": {4<<20 - 1: "x"}, "vdb": {6 << 20: "x"}, "vdc": {10<<20 - 1: "x"}},
			err:   "none of the 3 disks is empty",
		},
		"an empty one, also where another has a file system": {
			disks: map[string]content{"vda": divided, "vda1": ext4Data, "vdb": empty}, want: "vdb",
		},
		"none of a label that is there already": {
			disks: map[string]content{"vda": divided, "vda1": ext4Data, "vdb": empty}, label: "data", there: "vda1",
		},
		"one of another label": {
			disks: map[string]content{"vda": divided, "vda1": ext4Data, "vdb": empty}, label: "more", want: "vdb",
		},
		"one of the label, but of another type": {
			disks: map[string]content{"vda": divided, "vda1": xfsData, "vdb": empty}, label: "data", want: "vdb",
		},
		"none at the second boot": {
			disks: map[string]content{"vda": divided, "vda1": ext4Data}, there: "vda1",
		},
		"no disk": {err: "none of the 0 disks is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			c := machine(t, test.disks)
			got, err := c.choose(request{label: test.label, kind: "ext4", table: "dos"})
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("%+v, %v", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.drive != nil {
				got.there = ""
				if base := filepath.Base(got.drive.Path); base != test.want {
					t.Errorf("writes to %s", base)
				}
			} else if test.want != "" {
				t.Errorf("writes to no disk")
			}
			if got.there != "" && filepath.Base(got.there) != test.there || got.there == "" && test.there != "" {
				t.Errorf("there: %q", got.there)
			}
		})
	}
}

func TestRequestsThatCannotBeMet(t *testing.T) {
	for want, r := range map[string]request{
		"of type \"btrfs\"":         {kind: "btrfs", table: "dos"},
		"is no kind of partition":   {kind: "ext4", table: "mbr"},
		"the 16 bytes ext4 has":     {kind: "ext4", table: "dos", label: "seventeen letters"},
		"the 12 bytes xfs has":      {kind: "xfs", table: "dos", label: "thirteen long"},
		"has a control character":   {kind: "xfs", table: "dos", label: "a\nb"},
		"is not a block device":     {kind: "ext4", table: "dos", drive: "/dev/null"},
		"no such file or directory": {kind: "ext4", table: "gpt", drive: "/dev/absent"},
	} {
		err := run(machine(t, nil), r)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
