package bundle

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// describe returns the permission bits and the owner of a directory.
func describe(t *testing.T, path string) string {
	t.Helper()
	var stat syscall.Stat_t
	if err := syscall.Stat(path, &stat); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%04o %d:%d", stat.Mode&permissions, stat.Uid, stat.Gid)
}

func TestMkdirGivesADirectoryItsOwnerAndMode(t *testing.T) {
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = 686, 687
	}
	dir, machine := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "rootfs"), 0o755); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(machine, "kept", "file")
	if err := os.MkdirAll(filepath.Dir(kept), 0o711); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kept, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	before := describe(t, kept)
	r, err := load(t, fmt.Sprintf(`{"mkdir": [
		"%[1]s/plain",
		{"path": "%[1]s/new/own", "uid": %[2]d, "gid": %[3]d, "mode": 1472},
		{"path": "%[1]s/kept", "uid": %[2]d, "gid": %[3]d},
		{"path": "inside", "mode": 1023}
	]}`, machine, uid, gid))
	if err != nil {
		t.Fatal(err)
	}
	// Each start of the machine makes them again.
	for range 2 {
		if _, err := r.Prepare(dir); err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]string{
			machine + "/plain":     fmt.Sprintf("0755 %d:%d", os.Getuid(), os.Getgid()),
			machine + "/new":       fmt.Sprintf("0755 %d:%d", os.Getuid(), os.Getgid()),
			machine + "/new/own":   fmt.Sprintf("2700 %d:%d", uid, gid),
			machine + "/kept":      fmt.Sprintf("0711 %d:%d", uid, gid),
			dir + "/rootfs/inside": fmt.Sprintf("1777 %d:%d", os.Getuid(), os.Getgid()),
			kept:                   before,
		} {
			if got := describe(t, path); got != want {
				t.Errorf("%s: %s, not %s", path, got, want)
			}
		}
	}
}

func TestMkdirChangesNothingThatIsAsWanted(t *testing.T) {
	dir := t.TempDir()
	var before, after syscall.Stat_t
	if err := syscall.Stat(dir, &before); err != nil {
		t.Fatal(err)
	}
	uid, gid, mode := int(before.Uid), int(before.Gid), before.Mode&permissions
	if err := (Directory{Path: dir, UID: &uid, GID: &gid, Mode: &mode}).makeIn("/none"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Stat(dir, &after); err != nil {
		t.Fatal(err)
	}
	// A change of the owner or the mode would set it.
	if before.Ctim != after.Ctim {
		t.Error("changed")
	}
}

func TestMkdirNamesTheDirectoryThatItCannotChange(t *testing.T) {
	mode := uint32(0o700)
	err := (Directory{Path: "/proc/sys", Mode: &mode}).makeIn("/none")
	if err == nil || err.Error() != "mkdir /proc/sys: operation not permitted" {
		t.Error(err)
	}
}
