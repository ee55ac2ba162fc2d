// Package disk finds the disk with metadata: a CD, or any disk that is an ISO image with a label that says so. It is read, not mounted.
package disk

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"lkt/metadata/found"
	"lkt/metadata/iso9660"
)

const (
	maxDevices = 256
	// maxFile is what "lkt metadata create" writes at most.
	maxFile = 16 << 20
)

// ErrNone: no disk has metadata.
var ErrNone = errors.New("no disk has metadata")

// Labels of disks that are not CDs, in lower case: NoCloud's, and that of "lkt metadata create" and LinuxKit.
var labels = []string{"cidata", "config"}

// Read is what the first disk in dir, which is as /dev, tells. It fails with ErrNone when there is none.
func Read(dir string) (*found.Metadata, error) {
	names, err := devices(dir)
	if err != nil {
		return nil, err
	}
	var problems []error
	for _, name := range names {
		m, err := readDevice(filepath.Join(dir, name), name)
		if err == nil {
			m.Problems = append(problems, m.Problems...)
			return m, nil
		}
		if !errors.Is(err, ErrNone) {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
		}
	}
	if problems != nil {
		return nil, errors.Join(problems...)
	}
	return nil, ErrNone
}

// devices are the names of disks, CDs first. A file counts as a disk.
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

// isMemory: loop, ram and zram are what this machine has filled itself.
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

// readDevice fails with ErrNone when the disk is another one.
func readDevice(path, name string) (*found.Metadata, error) {
	// A drive without a disk in it must not be waited for.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		if errors.Is(err, syscall.ENOMEDIUM) || errors.Is(err, syscall.ENXIO) {
			return nil, ErrNone
		}
		return nil, err
	}
	defer file.Close()
	image, err := iso9660.Open(file)
	if err != nil || !isCD(name) && !slices.Contains(labels, strings.ToLower(image.Label)) {
		return nil, ErrNone
	}
	m := found.New("CDROM /dev/" + name)
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
		addMetaData(m, string(text))
	case !errors.Is(err, fs.ErrNotExist):
		m.Problem(err)
	}
	if len(m.UserData) == 0 && len(m.Values) == 0 {
		return nil, ErrNone
	}
	return m, nil
}

// addMetaData takes two values of the file "meta-data", which is YAML or JSON; only the usual form of a line is understood.
func addMetaData(m *found.Metadata, text string) {
	names := map[string]string{"instance-id": "instance_id", "local-hostname": "hostname"}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimRight(strings.TrimSpace(line), ","), ":")
		if name, wanted := names[unquoted(key)]; wanted && unquoted(value) != "" {
			m.Set(name, unquoted(value))
		}
	}
}

func unquoted(text string) string {
	text = strings.TrimSpace(text)
	if len(text) >= 2 && (text[0] == '"' || text[0] == '\'') && text[len(text)-1] == text[0] {
		return text[1 : len(text)-1]
	}
	return text
}
