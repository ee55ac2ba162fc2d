package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lkt/storage/disk"
)

// wanted says which file system to mount: that of the device, else that with the label, else that with the UUID, else any.
type wanted struct {
	device, label, uuid string
}

func (w wanted) String() string {
	switch {
	case w.device != "":
		return w.device
	case w.label != "":
		return fmt.Sprintf("a file system with the label %q", w.label)
	case w.uuid != "":
		return "a file system with the UUID " + w.uuid
	}
	return "a partition with a file system that is not in use"
}

// source is a device and what it has.
type source struct {
	path       string
	filesystem disk.Filesystem
}

// What a partition has to have to be mounted without being named: file systems that hold the data of a machine.
var forData = []string{"ext4", "ext3", "ext2", "xfs", "btrfs"}

// wait looks until the file system is there.
func wait(places disk.Places, w wanted, patience time.Duration) (source, error) {
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		s, err := find(places, w)
		if err == nil {
			return s, nil
		}
		if time.Now().After(end) {
			return source{}, fmt.Errorf("no %s within %v: %w", strings.TrimPrefix(w.String(), "a "), patience, err)
		}
	}
}

func find(places disk.Places, w wanted) (source, error) {
	if w.device != "" {
		if err := disk.IsBlockDevice(w.device); err != nil {
			return source{}, err
		}
		filesystem, err := disk.ProbePath(w.device)
		return source{w.device, filesystem}, err
	}
	paths, fits, err := candidates(places, w)
	if err != nil {
		return source{}, err
	}
	for _, path := range paths {
		if filesystem, err := disk.ProbePath(path); err == nil && fits(path, filesystem) {
			return source{path, filesystem}, nil
		}
	}
	return source{}, fmt.Errorf("none of %d devices", len(paths))
}

// candidates are the devices to look at, and what to look for.
func candidates(places disk.Places, w wanted) ([]string, func(string, disk.Filesystem) bool, error) {
	if w.label != "" || w.uuid != "" {
		paths, err := places.Volumes()
		return paths, func(_ string, f disk.Filesystem) bool {
			if w.label != "" {
				return f.Label == w.label
			}
			return strings.EqualFold(f.UUID, w.uuid)
		}, err
	}
	drives, err := places.Drives()
	if err != nil {
		return nil, nil, err
	}
	var paths []string
	for _, drive := range drives {
		partitions, err := places.Partitions(drive)
		if err != nil {
			return nil, nil, err
		}
		paths = append(paths, partitions...)
	}
	return paths, func(path string, f disk.Filesystem) bool {
		return slices.Contains(forData, f.Type) && !inUse(path)
	}, nil
}

// inUse asks the kernel, which knows the mounts of all namespaces.
func inUse(path string) bool {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_EXCL|unix.O_CLOEXEC, 0)
	if err != nil {
		return errors.Is(err, unix.EBUSY)
	}
	file.Close()
	return false
}
