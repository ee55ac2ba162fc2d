package main

import (
	"path/filepath"
	"strings"
	"testing"

	"lkt/storage/disktest"
)

// machine returns a chooser over files of 10 MiB as disks.
func machine(t *testing.T, disks map[string]content) chooser {
	t.Helper()
	return chooser{dirs: disktest.Machine(t, 10<<20, disks), prober: disktest.Parser{}, note: t.Logf}
}

type content = disktest.Content

var (
	empty    = content{}
	divided  = content{510: "\x55\xaa"}
	xfsData  = content{0: "XFSB", 108: "data"}
	ext4Data = content{1080: "\x53\xef", 1116: "\x04\x00\x00\x00\x40\x00\x00\x00", 1144: "data"}
)

func TestChoose(t *testing.T) {
	for name, test := range map[string]struct {
		disks    map[string]content
		label    string
		want     string // the disk to format
		existing string // or the device with an existing file system
		err      string
	}{
		"first empty disk": {
			disks: map[string]content{"vda": divided, "vdb": empty, "vdc": empty}, want: "vdb",
		},
		"no virtual disk, other medium or partition": {
			disks: map[string]content{"loop0": empty, "nbd0": empty, "sr0": empty, "dm-0": empty, "md0": empty, "zram0": empty,
				"mmcblk0boot0": empty, "vda": divided, "vda1": empty},
			err: "none of the 1 disks is empty or has ext4",
		},
		"memory card, and name with digits": {
			disks: map[string]content{"nvme0n1": empty, "mmcblk0": empty}, want: "mmcblk0",
		},
		"data without signature is not empty": {
			disks: map[string]content{"vda": {4<<20 - 1: "x"}, "vdb": {6 << 20: "x"}, "vdc": {10<<20 - 1: "x"}},
			err:   "none of the 3 disks is empty",
		},
		"empty disk beside a formatted one": {
			disks: map[string]content{"vda": divided, "vda1": ext4Data, "vdb": empty}, want: "vdb",
		},
		"label exists": {
			disks: map[string]content{"vda": divided, "vda1": ext4Data, "vdb": empty}, label: "data", existing: "vda1",
		},
		"other label": {
			disks: map[string]content{"vda": divided, "vda1": ext4Data, "vdb": empty}, label: "more", want: "vdb",
		},
		"label exists with other type": {
			disks: map[string]content{"vda": divided, "vda1": xfsData, "vdb": empty}, label: "data", want: "vdb",
		},
		"second boot": {
			disks: map[string]content{"vda": divided, "vda1": ext4Data}, existing: "vda1",
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
				got.existing = ""
				if base := filepath.Base(got.drive.Path); base != test.want {
					t.Errorf("formats %s", base)
				}
			} else if test.want != "" {
				t.Errorf("formats no disk")
			}
			if got.existing != "" && filepath.Base(got.existing) != test.existing || got.existing == "" && test.existing != "" {
				t.Errorf("existing: %q", got.existing)
			}
		})
	}
}

func TestRunRejectsInvalidRequests(t *testing.T) {
	for want, r := range map[string]request{
		"type \"jfs\"":              {kind: "jfs", table: "dos"},
		"invalid partition table":   {kind: "ext4", table: "mbr"},
		"the 16 bytes of ext4":      {kind: "ext4", table: "dos", label: "seventeen letters"},
		"the 12 bytes of xfs":       {kind: "xfs", table: "dos", label: "thirteen long"},
		"the 255 bytes of btrfs":    {kind: "btrfs", table: "dos", label: strings.Repeat("x", 256)},
		"contains a control char":   {kind: "xfs", table: "dos", label: "a\nb"},
		"is not a block device":     {kind: "ext4", table: "dos", drive: "/dev/null"},
		"no such file or directory": {kind: "ext4", table: "gpt", drive: "/dev/absent"},
	} {
		err := run(machine(t, nil), r)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
