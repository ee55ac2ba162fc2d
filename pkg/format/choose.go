package main

import (
	"errors"
	"fmt"

	"lkt/storage/disk"
	"lkt/storage/drive"
)

// chooser selects the disk to format.
type chooser struct {
	dirs   disk.Dirs
	prober disk.Prober
	// note reports why a disk is skipped.
	note func(format string, arguments ...any)
}

// target is an open disk to format, or the path of an existing file system that satisfies the
// request.
type target struct {
	drive    *drive.Drive
	existing string
}

func (c chooser) choose(r request) (target, error) {
	if r.drive != "" {
		return c.chooseNamed(r)
	}
	// Before empty disks: two file systems with one label would be ambiguous.
	if r.label != "" {
		volumes, err := c.dirs.Volumes()
		if err != nil {
			return target{}, err
		}
		if existing := c.find(volumes, r); existing != "" {
			return target{existing: existing}, nil
		}
	}
	drives, err := c.dirs.Drives()
	if err != nil {
		return target{}, err
	}
	for _, path := range drives {
		d, err := drive.OpenEmpty(path, c.prober)
		if err == nil {
			return target{drive: d}, nil
		}
		c.note("%v", err)
	}
	for _, path := range drives {
		partitions, err := c.dirs.Partitions(path)
		if err != nil {
			return target{}, err
		}
		if existing := c.find(partitions, r); existing != "" {
			return target{existing: existing}, nil
		}
	}
	return target{}, fmt.Errorf("none of the %d disks is empty or has %s", len(drives), r)
}

func (c chooser) chooseNamed(r request) (target, error) {
	if err := disk.IsBlockDevice(r.drive); err != nil {
		return target{}, err
	}
	if r.force {
		d, err := drive.Open(r.drive)
		return target{drive: d}, err
	}
	d, err := drive.OpenEmpty(r.drive, c.prober)
	if err == nil {
		return target{drive: d}, nil
	}
	if existing := c.find([]string{disk.Partition(r.drive, 1)}, r); existing != "" {
		return target{existing: existing}, nil
	}
	if errors.Is(err, drive.ErrNotEmpty) {
		return target{}, fmt.Errorf("%w\n  fix: use -force to format it anyway", err)
	}
	return target{}, err
}

// find returns the first device that satisfies the request.
func (c chooser) find(paths []string, r request) string {
	for _, path := range paths {
		found, err := disk.ProbePath(c.prober, path)
		if err != nil {
			c.note("%s: %v", path, err)
			continue
		}
		c.note("%s has %s", path, found)
		if found.Type == r.kind && (r.label == "" || found.Label == r.label) {
			return path
		}
	}
	return ""
}
