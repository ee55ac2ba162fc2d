package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReadHostname(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hostname")
	for text, want := range map[string]string{
		"web": "web", "ip-10-0-0-1.ec2.internal\n": "ip-10-0-0-1.ec2.internal", strings.Repeat("a", 64): strings.Repeat("a", 64),
		"": "", "\n": "", "-a": "", "a..b": "", "a b": "", "a\x1b[2J": "", "a/b": "", "w\u00e9b": "", strings.Repeat("a", 65): "",
		"web" + strings.Repeat(" ", 100) + "x": "web", "a\nb": "",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if name, err := readHostname(path); name != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, name, err)
		}
	}
}

func TestReadHostnameRejectsSpecialFiles(t *testing.T) {
	dir := t.TempDir()
	if _, err := readHostname(dir + "/absent"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := os.WriteFile(dir+"/file", []byte("web"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(dir+"/fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir+"/dir", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"link", "fifo", "dir"} {
		if name, err := readHostname(filepath.Join(dir, name)); err == nil {
			t.Errorf("accepted %q", name)
		}
	}
}

// FuzzHostname reads a file that a container has written.
func FuzzHostname(f *testing.F) {
	f.Add([]byte("ip-10-0-0-1.ec2.internal\n"))
	f.Add([]byte("-a..b"))
	path := filepath.Join(f.TempDir(), "hostname")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		name, err := readHostname(path)
		if err == nil && (name == "" || len(name) > 64 || strings.Trim(name, ".-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "") {
			t.Fatalf("%q", name)
		}
	})
}
