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

// query selects the file system to mount: by device, by label, by UUID, or any.
type query struct {
	device, label, uuid string
}

func (w query) String() string {
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

// source is a device with its file system.
type source struct {
	path       string
	filesystem disk.Filesystem
}

// Types that are mounted without being named: file systems for a machine's data.
var dataTypes = []string{"ext4", "ext3", "ext2", "xfs", "btrfs"}

// wait waits until the file system exists.
func wait(p disk.Prober, dirs disk.Dirs, w query, waitTimeout time.Duration) (source, error) {
	for end := time.Now().Add(waitTimeout); ; time.Sleep(50 * time.Millisecond) {
		s, err := find(p, dirs, w)
		if err == nil {
			return s, nil
		}
		if time.Now().After(end) {
			return source{}, fmt.Errorf("no %s within %v: %w", strings.TrimPrefix(w.String(), "a "), waitTimeout, err)
		}
	}
}

func find(p disk.Prober, dirs disk.Dirs, w query) (source, error) {
	if w.device != "" {
		if err := disk.IsBlockDevice(w.device); err != nil {
			return source{}, err
		}
		filesystem, err := disk.ProbePath(p, w.device)
		return source{w.device, filesystem}, err
	}
	paths, matches, err := candidates(dirs, w)
	if err != nil {
		return source{}, err
	}
	for _, path := range paths {
		if filesystem, err := disk.ProbePath(p, path); err == nil && matches(path, filesystem) {
			return source{path, filesystem}, nil
		}
	}
	return source{}, fmt.Errorf("no match among %d devices", len(paths))
}

// candidates returns the devices to check, and the condition for the file system.
func candidates(dirs disk.Dirs, w query) ([]string, func(string, disk.Filesystem) bool, error) {
	if w.label != "" || w.uuid != "" {
		paths, err := dirs.Volumes()
		return paths, func(_ string, f disk.Filesystem) bool {
			if w.label != "" {
				return f.Label == w.label
			}
			return strings.EqualFold(f.UUID, w.uuid)
		}, err
	}
	drives, err := dirs.Drives()
	if err != nil {
		return nil, nil, err
	}
	var paths []string
	for _, drive := range drives {
		partitions, err := dirs.Partitions(drive)
		if err != nil {
			return nil, nil, err
		}
		paths = append(paths, partitions...)
	}
	return paths, func(path string, f disk.Filesystem) bool {
		return slices.Contains(dataTypes, f.Type) && !inUse(path)
	}, nil
}

// inUse asks the kernel, which considers the mounts of all namespaces.
func inUse(path string) bool {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_EXCL|unix.O_CLOEXEC, 0)
	if err != nil {
		return errors.Is(err, unix.EBUSY)
	}
	file.Close()
	return false
}
