package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lkt/metadata/instance"
)

// runWith runs the program with a file of user data, and returns the directory, the output and the
// error.
func runWith(t *testing.T, text string) (dir, said string, err error) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "config")
	path := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s, err := parse([]string{"-config", dir, "file=/absent", "file=" + path})
	if err != nil {
		t.Fatal(err)
	}
	r, err := openFiles(s.Sources, "/dev")
	if err != nil {
		t.Fatal(err)
	}
	err = choose(s, func(i int) (*instance.Metadata, error) { return r.read(t.Context(), s.Sources[i]) }, &out)
	return dir, out.String(), err
}

func TestWritesFilesOfUserData(t *testing.T) {
	dir, said, err := runWith(t, `{"hostname":{"content":"web"},"ssh":{"entries":{"authorized_keys":{"perm":"0600","content":"ssh-ed25519 A"}}}}`)
	if err != nil || !strings.HasPrefix(said, "metadata: not file=/absent: ") {
		t.Fatalf("%s, %v", said, err)
	}
	for name, want := range map[string]string{"hostname": "web", "ssh/authorized_keys": "ssh-ed25519 A"} {
		if data, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(data) != want {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
}

func TestKeepsUserDataInOtherFormat(t *testing.T) {
	const text = "#cloud-config\n"
	dir, said, err := runWith(t, text)
	if err != nil || !strings.Contains(said, "to the file userdata only") {
		t.Fatalf("%s, %v", said, err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "userdata")); err != nil || string(data) != text {
		t.Errorf("%q, %v", data, err)
	}
}

func TestRejectsUnsafeUserData(t *testing.T) {
	dir, _, err := runWith(t, `{"good":{"content":"x"},"../bad":{"content":"x"}}`)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, path := range []string{"good", "../bad"} {
		if _, err := os.Lstat(filepath.Join(dir, path)); err == nil {
			t.Errorf("%s exists", path)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "userdata")); err != nil {
		t.Error(err)
	}
}

func TestSelectSources(t *testing.T) {
	sources, err := selectSources(nil)
	if err != nil || len(sources) != 1 || sources[0].Name != "cdrom" {
		t.Errorf("%v, %v", sources, err)
	}
	if sources, err := selectSources(knownProviders); err != nil || len(sources) != len(knownProviders) {
		t.Errorf("%v, %v", sources, err)
	}
	if sources, err := selectSources([]string{"configdrive", "azure"}); err != nil || sources[0].Kind != kindDisks || sources[1].Kind != kindCloud {
		t.Errorf("%v, %v", sources, err)
	}
	if sources, err := selectSources([]string{"vmware"}); err != nil || sources[0].Kind != kindVMware {
		t.Errorf("%v, %v", sources, err)
	}
	for _, name := range []string{"equinixmetal", "metaldata", "nobody", ""} {
		if _, err := selectSources([]string{"cdrom", name}); err == nil || !strings.Contains(err.Error(), "\n  fix: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
