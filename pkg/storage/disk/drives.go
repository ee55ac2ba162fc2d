// Package disk lists the disks of the machine and identifies their file systems. It opens them
// read-only.
package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Dirs are the directories with the kernel's block devices.
type Dirs struct {
	Sys string // sysfs
	Dev string // devtmpfs
}

// SystemDirs are the directories of a running machine.
var SystemDirs = Dirs{Sys: "/sys", Dev: "/dev"}

// Block devices that are not disks: virtual devices (loop, network and memory disks, device mapper,
// RAID), optical and floppy drives, and the hardware partitions of a memory card.
var notDrives = regexp.MustCompile(`^(loop|nbd|ram|zram|dm-|md|sr|fd)[0-9]|^mmcblk[0-9]+(boot[0-9]+|rpmb)$`)

// Drives returns the paths of all whole disks, sorted by name.
func (p Dirs) Drives() ([]string, error) {
	names, err := p.blockDevices("block")
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, notDrives.MatchString)
	return p.nodes(names), nil
}

// Volumes returns the paths of all devices that may hold a file system: disks, partitions, attached
// loop devices and mapped devices.
func (p Dirs) Volumes() ([]string, error) {
	names, err := p.blockDevices("class/block")
	if err != nil {
		return nil, err
	}
	return p.nodes(names), nil
}

// Partitions returns the paths of a drive's partitions that the kernel knows.
func (p Dirs) Partitions(drive string) ([]string, error) {
	name := strings.ReplaceAll(strings.TrimPrefix(drive, p.Dev+"/"), "/", "!")
	files, err := filepath.Glob(filepath.Join(p.Sys, "block", name, "*", "partition"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range files {
		names = append(names, filepath.Base(filepath.Dir(file)))
	}
	slices.Sort(names)
	return p.nodes(names), nil
}

// blockDevices returns the names in a directory of sysfs, except those of size 0: loop devices
// without a file, drives without a medium.
func (p Dirs) blockDevices(directory string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(p.Sys, directory))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		size, err := os.ReadFile(filepath.Join(p.Sys, directory, entry.Name(), "size"))
		if err == nil && strings.TrimSpace(string(size)) != "0" {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

// nodes returns the paths of devices. An exclamation mark in a sysfs name is a slash in the path.
func (p Dirs) nodes(names []string) []string {
	var paths []string
	for _, name := range names {
		paths = append(paths, filepath.Join(p.Dev, strings.ReplaceAll(name, "!", "/")))
	}
	return paths
}

// Partition returns the path of a drive's partition: sda1, but nvme0n1p1.
func Partition(drive string, number int) string {
	if last := drive[len(drive)-1]; last >= '0' && last <= '9' {
		return fmt.Sprintf("%sp%d", drive, number)
	}
	return fmt.Sprintf("%s%d", drive, number)
}

// IsBlockDevice returns an error unless path is a block device.
func IsBlockDevice(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode().Type() != os.ModeDevice {
		return fmt.Errorf("%s is not a block device", path)
	}
	return nil
}

// WaitFor waits until path is a block device.
func WaitFor(path string, timeout time.Duration) error {
	for end := time.Now().Add(timeout); ; time.Sleep(10 * time.Millisecond) {
		err := IsBlockDevice(path)
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("does not exist after %v: %w", timeout, err)
		}
	}
}
