// Package disktest creates files that stand for the disks of a machine.
package disktest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lkt/storage/disk"
)

// Content is the content of a disk by byte offset; the rest is zero.
type Content = map[int64]string

// Machine creates disks of one size, by name. A partition's name begins with the name of its disk.
func Machine(t testing.TB, size int64, disks map[string]Content) disk.Dirs {
	t.Helper()
	dirs := disk.Dirs{Sys: t.TempDir(), Dev: t.TempDir()}
	if err := os.MkdirAll(filepath.Join(dirs.Sys, "block"), 0o755); err != nil {
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
			Put(t, filepath.Join(dirs.Sys, directory, "size"), Content{0: fmt.Sprintln(size / 512)})
			if parent != "" {
				Put(t, filepath.Join(dirs.Sys, directory, "partition"), Content{0: "1\n"})
			}
		}
		device := filepath.Join(dirs.Dev, name)
		Put(t, device, content)
		if err := os.Truncate(device, size); err != nil {
			t.Fatal(err)
		}
	}
	return dirs
}

// Put writes a file, and creates its parent directories.
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
