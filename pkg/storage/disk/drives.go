// Package disk finds the disks of the machine and says what is on them. It opens them to read only.
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

// Places are where the kernel shows block devices.
type Places struct {
	Sys string // sysfs
	Dev string // devtmpfs
}

// Machine are the places of a running machine.
var Machine = Places{Sys: "/sys", Dev: "/dev"}

// Not disks of the machine: what programs make (loop, network and memory disks, device mapper, RAID), optical and floppy
// drives, and the parts of a card that firmware reads.
var notDrives = regexp.MustCompile(`^(loop|nbd|ram|zram|dm-|md|sr|fd)[0-9]|^mmcblk[0-9]+(boot[0-9]+|rpmb)$`)

// Drives are the whole disks of the machine, in the order of their names.
func (p Places) Drives() ([]string, error) {
	names, err := p.blockDevices("block")
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, notDrives.MatchString)
	return p.nodes(names), nil
}

// Volumes are all that may hold a file system: disks, partitions, loop devices with a file, mapped devices.
func (p Places) Volumes() ([]string, error) {
	names, err := p.blockDevices("class/block")
	if err != nil {
		return nil, err
	}
	return p.nodes(names), nil
}

// Partitions are those the kernel has found on a drive.
func (p Places) Partitions(drive string) ([]string, error) {
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

// blockDevices are the names in a directory of sysfs, without those that have no size: loop devices without a file, drives
// without a medium.
func (p Places) blockDevices(directory string) ([]string, error) {
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

// nodes are the paths of devices. Where a path has a slash, its name in sysfs has an exclamation mark.
func (p Places) nodes(names []string) []string {
	var paths []string
	for _, name := range names {
		paths = append(paths, filepath.Join(p.Dev, strings.ReplaceAll(name, "!", "/")))
	}
	return paths
}

// Partition is the path of a drive's partition: sda1, but nvme0n1p1.
func Partition(drive string, number int) string {
	if last := drive[len(drive)-1]; last >= '0' && last <= '9' {
		return fmt.Sprintf("%sp%d", drive, number)
	}
	return fmt.Sprintf("%s%d", drive, number)
}

// IsBlockDevice says what a path leads to.
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

// WaitFor is over when a path leads to a block device.
func WaitFor(path string, patience time.Duration) error {
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		err := IsBlockDevice(path)
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("not there within %v: %w", patience, err)
		}
	}
}
