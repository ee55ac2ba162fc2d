package main

import (
	"fmt"
	"slices"
	"strings"
)

// request has the arguments of the command line.
type request struct {
	drive string // "" for the first empty one
	label string
	kind  string // of the file system
	table string // type of the partition table
	force bool
}

func (r request) String() string {
	if r.label == "" {
		return r.kind
	}
	return fmt.Sprintf("%s with the label %q", r.kind, r.label)
}

// maker is the program that creates a file system.
type maker struct {
	// Limit of the superblock, in bytes.
	maxLabel  int
	arguments []string
	// It works without capabilities.
	unprivileged bool
}

var makers = map[string]maker{
	"ext4": {
		maxLabel:     16,
		arguments:    []string{"/usr/sbin/mke2fs", "-t", "ext4", "-F", "-q"},
		unprivileged: true,
	},
	"btrfs": {
		maxLabel:     255,
		arguments:    []string{"/usr/sbin/mkfs.btrfs", "-f", "-q"},
		unprivileged: true,
	},
	// mkfs.xfs fails if it cannot set the block size of the device, which needs CAP_SYS_ADMIN.
	"xfs": {
		maxLabel: 12,
		// Only the features that Linux 6.12 supports; newer defaults of xfsprogs could not be
		// mounted.
		arguments: []string{"/usr/sbin/mkfs.xfs", "-f", "-q", "-c", "options=/usr/share/xfsprogs/mkfs/lts_6.12.conf"},
	},
}

// check detects errors that would otherwise occur after the disk has been written to.
func (r request) check() error {
	m, known := makers[r.kind]
	switch {
	case !known:
		return fmt.Errorf("unsupported file system type %q: must be ext4, xfs or btrfs", r.kind)
	case len(r.label) > m.maxLabel:
		return fmt.Errorf("the label %q is longer than the %d bytes of %s", r.label, m.maxLabel, r.kind)
	case strings.ContainsFunc(r.label, func(c rune) bool { return c < ' ' || c == 0x7f }):
		return fmt.Errorf("the label %q contains a control character", r.label)
	case !slices.Contains([]string{"dos", "gpt"}, r.table):
		return fmt.Errorf("invalid partition table type %q: must be dos or gpt", r.table)
	}
	return nil
}

// command returns the command that creates the file system on a partition.
func (r request) command(partition string) []string {
	arguments := slices.Clone(makers[r.kind].arguments)
	if r.label != "" {
		arguments = append(arguments, "-L", r.label)
	}
	return append(arguments, partition)
}
