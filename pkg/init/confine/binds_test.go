package confine

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestOpenPathRejectsReplaceableLinks(t *testing.T) {
	dir := t.TempDir()
	shared := filepath.Join(dir, "shared")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(shared, "inside"), 0o755), os.Symlink("/", filepath.Join(shared, "link")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	inside, err := openPath(filepath.Join(shared, "inside"), false)
	if err != nil || !inside.replaceable || !inside.isDir {
		t.Fatal(inside, err)
	}
	syscall.Close(inside.fd)
	for _, below := range []string{"link", "link/etc", "./link/../link"} {
		if _, err := openPath(shared+"/"+below, false); err == nil || !strings.Contains(err.Error(), "symbolic link") {
			t.Errorf("%s: %v", below, err)
		}
	}
	if _, err := openPath(filepath.Join(shared, "nothing"), false); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	trustedLinks = append(trustedLinks, filepath.Join(shared, "link"))
	file, err := openPath(filepath.Join(shared, "link/dev/null"), false)
	if err != nil || file.isDir || !file.replaceable {
		t.Fatal(file, err)
	}
	syscall.Close(file.fd)
	if file, err := openPath("/proc/self/exe", false); file != nil || err != nil {
		t.Error(file, err)
	}
}

// TestBinds runs in a mount namespace of its own.
func TestBinds(t *testing.T) { inNamespace(t, testBinds) }

// inNamespace runs a test in a process that may mount.
func inNamespace(t *testing.T, test func(*testing.T)) {
	if os.Getenv("LKT_TEST_BINDS") != "" {
		test(t)
		return
	}
	again := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	again.Env = append(os.Environ(), "LKT_TEST_BINDS=1")
	again.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	if out, err := again.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func testBinds(t *testing.T) {
	dir := t.TempDir()
	shared, pins := filepath.Join(dir, "shared"), filepath.Join(dir, "pins")
	inside := filepath.Join(shared, "inside")
	must := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(inside, 0o755), os.WriteFile(inside+"/file", []byte("mine"), 0o600))
	config := fmt.Sprintf(`{"hostname": "x", "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
		{"destination": "/a", "type": "bind", "source": %q}, {"destination": "/b", "source": %q, "options": ["rbind"]},
		{"destination": "/c", "type": "bind", "source": %q}]}`, inside, inside+"/file", dir)
	data, release, err := Binds([]byte(config), pins)
	must(err)
	want := []string{"proc", pins + "/1", pins + "/2", dir} // the last source contains pins
	if got := sourcesOf(t, data); !slices.Equal(got, want) {
		t.Fatal(got)
	}
	must(os.Rename(inside, inside+"2"), os.Symlink("/", inside))
	for _, path := range []string{pins + "/1/file", pins + "/2"} {
		if text, err := os.ReadFile(path); err != nil || string(text) != "mine" {
			t.Errorf("%s: %q, %v", path, text, err)
		}
	}
	if _, _, err := Binds([]byte(config), pins+"2"); err == nil {
		t.Error("followed the link")
	}
	release()
	for _, path := range []string{pins, pins + "2"} {
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s still exists: %v", path, err)
		}
	}
	if text, err := os.ReadFile(inside + "2/file"); err != nil || string(text) != "mine" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestRemoveBinds runs in a mount namespace of its own.
func TestRemoveBinds(t *testing.T) { inNamespace(t, testRemoveBinds) }

// A process that is killed while it creates a container releases nothing.
func testRemoveBinds(t *testing.T) {
	dir := t.TempDir()
	source, pins := filepath.Join(dir, "source"), filepath.Join(dir, "pins")
	for _, err := range []error{
		os.Mkdir(source, 0o755), os.WriteFile(source+"/file", []byte("mine"), 0o600), os.MkdirAll(pins+"/other/0", 0o755),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	config := fmt.Sprintf(`{"mounts": [{"type": "bind", "source": %q}, {"type": "bind", "source": %q}]}`, source, source+"/file")
	for range 2 {
		if _, _, err := Binds([]byte(config), pins+"/web"); err != nil {
			t.Fatal(err)
		}
		RemoveBinds(pins)
		if !isEmpty(t, pins) {
			t.Error("leftovers")
		}
		if mounts, err := os.ReadFile("/proc/self/mounts"); err != nil || strings.Contains(string(mounts), pins) {
			t.Error("mounts are left")
		}
	}
	if text, err := os.ReadFile(source + "/file"); err != nil || string(text) != "mine" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestBindsKeepReadOnly runs in a mount namespace of its own.
func TestBindsKeepReadOnly(t *testing.T) { inNamespace(t, testBindsKeepReadOnly) }

func testBindsKeepReadOnly(t *testing.T) {
	dir := t.TempDir()
	closed, open := filepath.Join(dir, "closed"), filepath.Join(dir, "open")
	defer syscall.Unmount(closed, syscall.MNT_DETACH)
	for _, err := range []error{
		os.Mkdir(closed, 0o755), os.Mkdir(open, 0o755), syscall.Mount("x", closed, "tmpfs", 0, ""),
		os.WriteFile(closed+"/file", nil, 0o600), syscall.Mount("", closed, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for capability, want := range map[string][3]string{
		"CAP_KILL":      {"rbind ro", "ro", "rw bind"},
		"CAP_SYS_ADMIN": {"rbind ro", "ro", "rw bind"},
	} {
		config := fmt.Sprintf(`{"hostname": "x", "process": {"capabilities": {"bounding": [%q]}}, "mounts": [
			{"destination": "/a", "source": %q, "options": ["rw", "rbind"]}, {"destination": "/b", "type": "bind", "source": %q},
			{"destination": "/c", "source": %q, "options": ["rw", "bind"]}]}`, capability, closed, closed+"/file", open)
		data, release, err := Binds([]byte(config), filepath.Join(dir, "pins"))
		if err != nil {
			t.Fatal(err)
		}
		release()
		var spec struct{ Mounts [3]struct{ Options []string } }
		if err := json.Unmarshal(data, &spec); err != nil {
			t.Fatal(err)
		}
		for i, mount := range spec.Mounts {
			if got := strings.Join(mount.Options, " "); got != want[i] {
				t.Errorf("%s: mount %d has %q, not %q", capability, i, got, want[i])
			}
		}
	}
}

func TestBindsKeepRestrictions(t *testing.T) {
	const all = stNosuid | stNodev | stNoexec
	for _, row := range []struct {
		options string
		flags   int64
		want    string
	}{
		{"rw rbind", 0, "rw rbind"},
		{"rw rbind", all, "rw rbind noexec nosuid nodev"},
		{"rbind", stNosuid, "rbind nosuid"},
		{"bind ro", all, "bind ro nosuid nodev"},
		{"rw bind nosuid", all, "rw bind nosuid nodev"},
		{"bind suid dev exec", all, "bind suid dev exec"},
		{"rw bind", all | stRdonly, "bind noexec nosuid nodev ro"},
		{"ro bind suid", stNosuid | stRdonly, "bind suid ro"},
	} {
		if got := strings.Join(restrict(strings.Fields(row.options), row.flags), " "); got != row.want {
			t.Errorf("%q with %d: %q, not %q", row.options, row.flags, got, row.want)
		}
	}
}

// sourcesOf returns the sources of the mounts of a config.json.
func sourcesOf(t *testing.T, data []byte) (sources []string) {
	t.Helper()
	var spec struct {
		Hostname string
		Mounts   []struct{ Source, Destination string }
	}
	if err := json.Unmarshal(data, &spec); err != nil {
		t.Fatal(err)
	}
	for _, mount := range spec.Mounts {
		if mount.Destination == "" || spec.Hostname != "x" {
			t.Errorf("other fields are lost: %s", data)
		}
		sources = append(sources, mount.Source)
	}
	return sources
}
