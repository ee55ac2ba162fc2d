package confine

import (
	"os"
	"path/filepath"
	"testing"
)

// linked returns a writable directory with the link "link" to another one, and that one.
func linked(t *testing.T) (dir, outside string) {
	t.Helper()
	dir, outside = t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	return dir, outside
}

func isEmpty(t *testing.T, dir string) bool {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries) == 0
}

func TestMakeDirectoryFollowsNoLinkOfAContainer(t *testing.T) {
	dir, outside := linked(t)
	for _, path := range []string{"link", "link/new", "link/new/deep"} {
		if h, err := MakeDirectory(dir + "/" + path); err == nil {
			h.Close()
			t.Errorf("%s: followed", path)
		}
	}
	if !isEmpty(t, outside) {
		t.Error("made a directory outside")
	}
	h, err := MakeDirectory(filepath.Join(dir, "a/b"))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if info, err := os.Stat(filepath.Join(dir, "a/b")); err != nil || !info.IsDir() {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "file"), filepath.Join(dir, "file/x"), "relative"} {
		if h, err := MakeDirectory(path); err == nil {
			h.Close()
			t.Errorf("%s: accepted", path)
		}
	}
}

func TestHandleStaysTheSameDirectory(t *testing.T) {
	dir, outside := linked(t)
	h, err := MakeDirectory(filepath.Join(dir, "mine"))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := os.Rename(filepath.Join(dir, "mine"), filepath.Join(dir, "moved")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "mine")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.Path(), "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if !isEmpty(t, outside) {
		t.Error("wrote outside")
	}
}

func TestBindNamespaceFollowsNoLink(t *testing.T) {
	dir, outside := linked(t)
	victim := filepath.Join(outside, "victim")
	if err := os.WriteFile(victim, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, filepath.Join(dir, "net")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"link/net", "net", "."} {
		if err := BindNamespace(os.Getpid(), "net", dir+"/"+path); err == nil {
			t.Errorf("%s: followed", path)
		}
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
		t.Error("made a file outside")
	}
}
