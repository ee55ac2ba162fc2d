package main

import (
	"errors"
	"fmt"

	"lkt/storage/disk"
	"lkt/storage/drive"
)

// chooser finds the disk to format.
type chooser struct {
	places disk.Places
	// note is told why a disk is passed over.
	note func(format string, arguments ...any)
}

// target is a disk that is open and may be written to, or where the file system is that was asked for.
type target struct {
	drive *drive.Drive
	there string
}

func (c chooser) choose(r request) (target, error) {
	if r.drive != "" {
		return c.named(r)
	}
	// Before an empty disk is looked for: two file systems of one label could be taken for each other.
	if r.label != "" {
		volumes, err := c.places.Volumes()
		if err != nil {
			return target{}, err
		}
		if there := c.find(volumes, r); there != "" {
			return target{there: there}, nil
		}
	}
	drives, err := c.places.Drives()
	if err != nil {
		return target{}, err
	}
	for _, path := range drives {
		d, err := drive.OpenEmpty(path)
		if err == nil {
			return target{drive: d}, nil
		}
		c.note("%v", err)
	}
	for _, path := range drives {
		partitions, err := c.places.Partitions(path)
		if err != nil {
			return target{}, err
		}
		if there := c.find(partitions, r); there != "" {
			return target{there: there}, nil
		}
	}
	return target{}, fmt.Errorf("none of the %d disks is empty, and none has %s", len(drives), r)
}

func (c chooser) named(r request) (target, error) {
	if err := disk.IsBlockDevice(r.drive); err != nil {
		return target{}, err
	}
	if r.force {
		d, err := drive.Open(r.drive)
		return target{drive: d}, err
	}
	d, err := drive.OpenEmpty(r.drive)
	if err == nil {
		return target{drive: d}, nil
	}
	if there := c.find([]string{disk.Partition(r.drive, 1)}, r); there != "" {
		return target{there: there}, nil
	}
	if errors.Is(err, drive.ErrNotEmpty) {
		return target{}, fmt.Errorf("%w; -force formats it nevertheless", err)
	}
	return target{}, err
}

// find returns the first of the devices that has what is asked for.
func (c chooser) find(paths []string, r request) string {
	for _, path := range paths {
		found, err := disk.ProbePath(path)
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
