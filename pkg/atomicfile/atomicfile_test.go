package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// names returns the names in a directory.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, entry := range entries {
		list = append(list, entry.Name())
	}
	return list
}

func TestWriteReplacesContentAndMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for content, mode := range map[string]fs.FileMode{"first": 0o600, "second, longer": 0o400, "": 0o600} {
		if err := Write(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		info, failure := os.Stat(path)
		if err != nil || failure != nil || string(text) != content || info.Mode() != mode {
			t.Errorf("%q: %q, %v, %v", content, text, info.Mode(), errors.Join(err, failure))
		}
	}
	if list := names(t, filepath.Dir(path)); len(list) != 1 {
		t.Error(list)
	}
}

func TestWriteReplacesLinksAndDoesNotFollowThem(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "file"), filepath.Join(dir, "other")
	if err := os.WriteFile(other, []byte("untouched"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{path, path + ".new"} {
		if err := os.Symlink(other, link); err != nil {
			t.Fatal(err)
		}
	}
	if err := Write(path, []byte("new"), 0o400); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{path: "new", other: "untouched"} {
		if text, err := os.ReadFile(name); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

func TestWriteOverridesWhatAnInterruptedOneLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path+".new", []byte("half of a longer content"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, []byte("whole"), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	info, failure := os.Stat(path)
	if err != nil || failure != nil || string(text) != "whole" || info.Mode() != 0o600 {
		t.Errorf("%q, %v, %v", text, info.Mode(), errors.Join(err, failure))
	}
}

func TestWriteThatFailsLeavesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "directory")
	if err := os.MkdirAll(filepath.Join(path, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, []byte("new"), 0o600); err == nil {
		t.Error("a directory was replaced")
	}
	if list := names(t, filepath.Dir(path)); len(list) != 1 || list[0] != "directory" {
		t.Error(list)
	}
	if err := Write(filepath.Join(path, "missing", "file"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
