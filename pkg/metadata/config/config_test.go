package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"lkt/metadata/instance"
	"lkt/metadata/userdata"
)

func expectFile(t *testing.T, path, want string, mode fs.FileMode) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil || string(data) != want {
		t.Errorf("%s: %q, %v", path, data, err)
		return
	}
	expectMode(t, path, mode)
}

func expectMode(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if info, err := os.Lstat(path); err != nil || info.Mode() != mode {
		t.Errorf("%s: %v, %v", path, info, err)
	}
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "config")
	m := instance.New("AWS")
	m.Set("hostname", "web")
	m.Set("instance_id", "i-1")
	m.AddKeys("ssh-ed25519 AAAA a\nssh-ed25519 BBBB b")
	m.UserData = []byte("#!/bin/sh\n")
	for range 2 { // twice, as after a restart
		if err := Write(dir, m); err != nil {
			t.Fatal(err)
		}
		expectFile(t, dir+"/provider", "AWS", 0o644)
		expectFile(t, dir+"/hostname", "web", 0o644)
		expectFile(t, dir+"/instance_id", "i-1", 0o644)
		expectFile(t, dir+"/userdata", "#!/bin/sh\n", 0o644)
		expectMode(t, dir+"/ssh", 0o755|fs.ModeDir)
		expectFile(t, dir+"/ssh/authorized_keys", "ssh-ed25519 AAAA a\nssh-ed25519 BBBB b\n", 0o600)
	}
}

func TestWriteOmitsMissingValues(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, instance.New("CDROM sr0")); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestWriteEntriesSetsModes(t *testing.T) {
	dir := t.TempDir()
	entries, err := userdata.Parse([]byte(
		`{"a":{"perm":"0500","entries":{"b":{"entries":{"c":{"perm":"0400","content":"x"}}},"d":{"perm":"0700","entries":{}}}},"e":{"perm":"0777","content":""}}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteEntries(dir, entries); err != nil {
		t.Fatal(err)
	}
	expectMode(t, dir+"/a", 0o500|fs.ModeDir)
	expectMode(t, dir+"/a/b", 0o755|fs.ModeDir)
	expectFile(t, dir+"/a/b/c", "x", 0o400)
	expectMode(t, dir+"/a/d", 0o700|fs.ModeDir)
	expectFile(t, dir+"/e", "", 0o777)
}

func TestWriteEntriesReplacesLinks(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	if err := os.WriteFile(outside+"/file", []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"f": outside + "/file", "d": outside, "up": "..", "dangling": outside + "/new"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	file := userdata.Entry{Name: "file", Mode: 0o644, Content: []byte("new")}
	err := WriteEntries(dir, []userdata.Entry{
		{Name: "f", Mode: 0o644, Content: []byte("new")},
		{Name: "dangling", Mode: 0o644, Content: []byte("new")},
		{Name: "d", Mode: 0o755, Directory: true, Entries: []userdata.Entry{file}},
		{Name: "up", Mode: 0o755, Directory: true, Entries: []userdata.Entry{file}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/f", "/dangling", "/d/file", "/up/file"} {
		expectFile(t, dir+path, "new", 0o644)
	}
	expectFile(t, outside+"/file", "kept", 0o600)
	for _, path := range []string{outside + "/new", filepath.Dir(dir) + "/file"} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s exists", path)
		}
	}
}

func TestWriteEntriesReplacesHardLinks(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/other", []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(dir+"/other", dir+"/f"); err != nil {
		t.Fatal(err)
	}
	if err := WriteEntries(dir, []userdata.Entry{{Name: "f", Mode: 0o644, Content: []byte("new")}}); err != nil {
		t.Fatal(err)
	}
	expectFile(t, dir+"/other", "kept", 0o600)
}

func TestWriteEntriesKeepsDirectories(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(dir+"/a/b", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := WriteEntries(dir, []userdata.Entry{{Name: "a", Mode: 0o644, Content: []byte("x")}}); err == nil {
		t.Error("replaced")
	}
}
