// Package disktest makes machines for tests: files that stand for disks.
package disktest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lkt/storage/disk"
)

// Content is what is on a disk, by the byte at which it begins; all else is zero.
type Content = map[int64]string

// Machine has files of one size for disks, by name. Names of partitions begin with the name of their disk.
func Machine(t testing.TB, size int64, disks map[string]Content) disk.Places {
	t.Helper()
	places := disk.Places{Sys: t.TempDir(), Dev: t.TempDir()}
	if err := os.MkdirAll(filepath.Join(places.Sys, "block"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range disks {
		parent := ""
		for other := range disks {
			if other != name && strings.HasPrefix(name, other) {
				parent = other
			}
		}
		for _, directory := range []string{filepath.Join("class/block", name), filepath.Join("block", parent, name)} {
			Put(t, filepath.Join(places.Sys, directory, "size"), Content{0: fmt.Sprintln(size / 512)})
			if parent != "" {
				Put(t, filepath.Join(places.Sys, directory, "partition"), Content{0: "1\n"})
			}
		}
		device := filepath.Join(places.Dev, name)
		Put(t, device, content)
		if err := os.Truncate(device, size); err != nil {
			t.Fatal(err)
		}
	}
	return places
}

// Put writes a file, and the directories above it.
func Put(t testing.TB, path string, content Content) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for at, text := range content {
		if _, err := file.WriteAt([]byte(text), at); err != nil {
			t.Fatal(err)
		}
	}
}
