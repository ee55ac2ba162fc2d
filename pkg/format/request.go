package main

import (
	"fmt"
	"slices"
	"strings"
)

// request is what the command line asks for.
type request struct {
	drive string // "" for the first empty one
	label string
	kind  string // of file system
	table string // kind of partition table
	force bool
}

func (r request) String() string {
	if r.label == "" {
		return r.kind
	}
	return fmt.Sprintf("%s with the label %q", r.kind, r.label)
}

// maker is the program that makes a file system.
type maker struct {
	// As many bytes as a superblock has room for.
	maxLabel  int
	arguments []string
	// Whether it works without capabilities.
	unprivileged bool
}

var makers = map[string]maker{
	"ext4": {
		maxLabel:     16,
		arguments:    []string{"/usr/sbin/mke2fs", "-t", "ext4", "-F", "-q"},
		unprivileged: true,
	},
	// It ends where it may not set the size of a device's blocks, which needs CAP_SYS_ADMIN.
	"xfs": {
		maxLabel: 12,
		// The features that Linux 6.12 knows: one with those of a newer xfsprogs it could not mount.
		arguments: []string{"/usr/sbin/mkfs.xfs", "-f", "-q", "-c", "options=/usr/share/xfsprogs/mkfs/lts_6.12.conf"},
	},
}

// check finds what could only fail later, when the disk is already written to.
func (r request) check() error {
	m, known := makers[r.kind]
	switch {
	case !known:
		return fmt.Errorf("file systems of type %q are not made here: ext4 or xfs", r.kind)
	case len(r.label) > m.maxLabel:
		return fmt.Errorf("the label %q is longer than the %d bytes %s has for it", r.label, m.maxLabel, r.kind)
	case strings.ContainsFunc(r.label, func(c rune) bool { return c < ' ' || c == 0x7f }):
		return fmt.Errorf("the label %q has a control character", r.label)
	case !slices.Contains([]string{"dos", "gpt"}, r.table):
		return fmt.Errorf("%q is no kind of partition table: dos or gpt", r.table)
	}
	return nil
}

// command makes the file system on a partition.
func (r request) command(partition string) []string {
	arguments := slices.Clone(makers[r.kind].arguments)
	if r.label != "" {
		arguments = append(arguments, "-L", r.label)
	}
	return append(arguments, partition)
}
