package bundle

import (
	"os"
	"path/filepath"
	"testing"
)

func mustLink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func TestPrepareFollowsNoLinkOfAContainer(t *testing.T) {
	dir, shared, outside := t.TempDir(), t.TempDir(), t.TempDir()
	mustLink(t, outside, filepath.Join(shared, "link"))
	for name, r := range map[string]Runtime{
		"mkdir": {Mkdir: []Directory{{Path: shared + "/link/new"}}},
		"the directory of an overlay": {Mounts: []Mount{{Destination: shared + "/merged", Type: "overlay", Source: "overlay",
			Options: []string{"lowerdir=" + shared, "upperdir=" + shared + "/link/up", "workdir=" + shared + "/work"}}}},
		"the layer of an overlay": {Mounts: []Mount{{Destination: shared + "/merged", Type: "overlay", Source: "overlay",
			Options: []string{"lowerdir=" + shared + "/link"}}}},
		"the target of a mount": {Mounts: []Mount{{Destination: shared + "/link/point", Type: "tmpfs", Source: "tmpfs"}}},
		"the source of a bind":  {Mounts: []Mount{{Destination: shared + "/point", Source: shared + "/link", Options: []string{"bind"}}}},
	} {
		undo, err := r.Prepare(dir)
		if err == nil {
			undo()
			t.Errorf("%s: followed", name)
		}
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 0 {
		t.Errorf("made %v outside", entries)
	}
}

func TestPrepareResolvesLinksInTheRootOfTheContainer(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	root := filepath.Join(dir, "rootfs")
	mustLink(t, outside, filepath.Join(root, "absolute"))
	mustLink(t, "../../../../../../../.."+outside, filepath.Join(root, "relative"))
	mustLink(t, "/real", filepath.Join(root, "inside"))
	if err := os.Mkdir(filepath.Join(root, "real"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := (&Runtime{Mkdir: []Directory{{Path: "inside/new"}, {Path: "plain/new"}}}).Prepare(dir); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"real/new", "plain/new"} {
		if info, err := os.Stat(filepath.Join(root, path)); err != nil || !info.IsDir() {
			t.Error(err)
		}
	}
	for _, path := range []string{"absolute/new", "relative/new", "../../new"} {
		if _, err := (&Runtime{Mkdir: []Directory{{Path: path}}}).Prepare(dir); err == nil && path != "../../new" {
			t.Errorf("%s: made a directory", path)
		}
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 0 {
		t.Errorf("made %v outside", entries)
	}
	if _, err := os.Stat(filepath.Join(dir, "..", "new")); err == nil {
		t.Error("made a directory above the root")
	}
}
