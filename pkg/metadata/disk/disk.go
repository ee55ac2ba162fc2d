// Package disk finds the metadata disk, or OpenStack's config drive: a CD, or a disk with an ISO
// image whose label marks it. It reads the image without mounting it.
package disk

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"lkt/metadata/instance"
	"lkt/metadata/iso9660"
	"lkt/metadata/message"
)

const (
	maxDevices = 256
	// maxFile is the maximum that "lkt metadata create" writes.
	maxFile = 16 << 20
)

// ErrNone means that no disk has metadata.
var ErrNone = fmt.Errorf("no disk has metadata: %w", message.ErrNone)

// Labels of metadata disks that are not CDs, in lower case: that of NoCloud, and that of "lkt
// metadata create" and LinuxKit.
var labels = []string{"cidata", "config"}

// Device is an open disk, or the reason why it cannot be read.
type Device struct {
	Name    string
	File    *os.File
	Problem string
}

// Open opens the disks in dir, which is like /dev, for reading. It leaves out empty drives.
func Open(dir string) ([]Device, error) {
	names, err := devices(dir)
	if err != nil {
		return nil, err
	}
	var all []Device
	for _, name := range names {
		// O_NONBLOCK: do not wait for a disk in an empty drive.
		file, err := os.OpenFile(filepath.Join(dir, name), os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
		switch {
		case err == nil:
			all = append(all, Device{Name: name, File: file})
		case !errors.Is(err, syscall.ENOMEDIUM) && !errors.Is(err, syscall.ENXIO):
			all = append(all, Device{Name: name, Problem: err.Error()})
		}
	}
	return all, nil
}

// Read returns the metadata of the first metadata disk. It fails with ErrNone without one.
func Read(all []Device) (*instance.Metadata, error) { return first(all, readDevice) }

// first returns the metadata of the first disk that has some.
func first(all []Device, read func(file io.ReaderAt, name string) (*instance.Metadata, error)) (*instance.Metadata, error) {
	var problems []error
	for _, device := range all {
		err := errors.New(device.Problem)
		var m *instance.Metadata
		if device.File != nil {
			m, err = read(device.File, device.Name)
		}
		if err == nil {
			m.Problems = append(problems, m.Problems...)
			return m, nil
		}
		if !errors.Is(err, ErrNone) {
			problems = append(problems, fmt.Errorf("%s: %w", device.Name, err))
		}
	}
	if problems != nil {
		return nil, errors.Join(problems...)
	}
	return nil, ErrNone
}

// devices returns the names of the disks, CDs first. Regular files count as disks.
func devices(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		mode := e.Type()
		disk := mode.IsRegular() || mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0
		if disk && !isMemory(e.Name()) && len(names) < maxDevices {
			names = append(names, e.Name())
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	return names, nil
}

// isMemory reports whether the device is a loop, ram or zram device, whose content comes from this
// machine.
func isMemory(name string) bool {
	return strings.HasPrefix(name, "loop") || strings.HasPrefix(name, "ram") || strings.HasPrefix(name, "zram")
}

func isCD(name string) bool {
	return strings.HasPrefix(name, "sr")
}

func rank(name string) int {
	if isCD(name) {
		return 0
	}
	return 1
}

// readDevice reads a metadata disk. It fails with ErrNone if the disk is not one.
func readDevice(file io.ReaderAt, name string) (*instance.Metadata, error) {
	image, err := iso9660.Open(file)
	if err != nil || !isCD(name) && !slices.Contains(labels, strings.ToLower(image.Label)) {
		return nil, ErrNone
	}
	m := instance.New("CDROM /dev/" + name)
	for _, name := range []string{"user-data", "config"} {
		if m.UserData, err = image.ReadFile(name, maxFile); err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	text, err := image.ReadFile("meta-data", maxFile)
	switch {
	case err == nil:
		m.AddNoCloud(string(text))
	case !errors.Is(err, fs.ErrNotExist):
		m.Problem(err)
	}
	if len(m.UserData) == 0 && len(m.Values) == 0 {
		return nil, ErrNone
	}
	return m, nil
}
