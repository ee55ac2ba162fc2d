package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// group returns a directory with the files of a cgroup that divide reads. A regular file keeps only
// the last write.
func group(t *testing.T, controllers string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cgroup.controllers"), []byte(controllers), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestDivide(t *testing.T) {
	dir := group(t, "cpu memory\n")
	if err := divide(dir); err != nil {
		t.Fatal(err)
	}
	for name, expected := range map[string]string{"daemon/cgroup.procs": "0", "cgroup.subtree_control": "+memory"} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(text) != expected {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

func TestDivideFailsTwice(t *testing.T) {
	dir := group(t, "cpu\n")
	if err := os.Mkdir(filepath.Join(dir, "daemon"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := divide(dir); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
}

func TestDivideNamesRejectedController(t *testing.T) {
	dir := group(t, "cpu memory\n")
	if err := os.Mkdir(filepath.Join(dir, "cgroup.subtree_control"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := divide(dir); err == nil || !strings.HasPrefix(err.Error(), "controller cpu: ") {
		t.Error(err)
	}
}
