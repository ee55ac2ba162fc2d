package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// given runs the program with a file of user data and returns the directory, what it says, and how it ends.
func given(t *testing.T, text string) (dir, said string, err error) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "config")
	path := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = run([]string{"-config", dir, "file=/absent", "file=" + path}, &out)
	return dir, out.String(), err
}

func TestFilesOfUserData(t *testing.T) {
	dir, said, err := given(t, `{"hostname":{"content":"web"},"ssh":{"entries":{"authorized_keys":{"perm":"0600","content":"ssh-ed25519 A"}}}}`)
	if err != nil || !strings.HasPrefix(said, "metadata: not file=/absent: ") {
		t.Fatalf("%s, %v", said, err)
	}
	for name, want := range map[string]string{"hostname": "web", "ssh/authorized_keys": "ssh-ed25519 A"} {
		if data, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(data) != want {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
}

func TestUserDataOfAnotherFormIsKept(t *testing.T) {
	const text = "#cloud-config\n"
	dir, said, err := given(t, text)
	if err != nil || !strings.Contains(said, "in the file userdata only") {
		t.Fatalf("%s, %v", said, err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "userdata")); err != nil || string(data) != text {
		t.Errorf("%q, %v", data, err)
	}
}

func TestNoFileOfUserDataThatIsNotSafe(t *testing.T) {
	dir, _, err := given(t, `{"good":{"content":"x"},"../bad":{"content":"x"}}`)
	if err == nil {
		t.Fatal("taken")
	}
	for _, path := range []string{"good", "../bad"} {
		if _, err := os.Lstat(filepath.Join(dir, path)); err == nil {
			t.Errorf("%s is there", path)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "userdata")); err != nil {
		t.Error(err)
	}
}

func TestProviders(t *testing.T) {
	sources, err := sourcesOf(nil, "/dev")
	if err != nil || len(sources) != len(usual) {
		t.Errorf("%v, %v", sources, err)
	}
	for _, name := range []string{"equinixmetal", "vmware", "metaldata", "nobody", ""} {
		if _, err := sourcesOf([]string{"cdrom", name}, "/dev"); err == nil || !strings.Contains(err.Error(), "\n  fix: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
