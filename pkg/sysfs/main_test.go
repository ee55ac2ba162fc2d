package main

import (
	"os"
	"path/filepath"
	"testing"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRunSetsAttributes(t *testing.T) {
	conf, sys := t.TempDir(), t.TempDir()
	write(t, conf+"/00-a.conf", "# comment\nkernel/mm/ksm/run = 1\n\nclass/link/run=0\n-kernel/absent = 1\n")
	write(t, conf+"/10-b.conf", "kernel/mm/ksm/run = madvise\n")
	write(t, conf+"/ignored", "kernel/mm/ksm/run = 3\n")
	write(t, sys+"/kernel/mm/ksm/run", "")
	write(t, sys+"/devices/one/run", "")
	if err := os.MkdirAll(sys+"/class", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../devices/one", sys+"/class/link"); err != nil {
		t.Fatal(err)
	}
	if got := run(nil, conf, sys); got != 0 {
		t.Errorf("status %d", got)
	}
	for path, want := range map[string]string{"/kernel/mm/ksm/run": "madvise", "/devices/one/run": "0"} {
		if got, err := os.ReadFile(sys + path); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
}

func TestRunFails(t *testing.T) {
	for text, isSet := range map[string]bool{
		"a = 1\nabsent = 1\n": true, "absent = 1\na = 1\n": true,
		"a = 1\nnothing\n": false, "a = 1\n/a = 1\n": false, "a = 1\n../a = 1\n": false, "a = 1\na =\n": false,
		"a = 1\nout/b = 1\n": true,
	} {
		conf, sys, outside := t.TempDir(), t.TempDir(), t.TempDir()
		write(t, conf+"/a.conf", text)
		write(t, sys+"/a", "")
		write(t, outside+"/b", "")
		if err := os.Symlink(outside, sys+"/out"); err != nil {
			t.Fatal(err)
		}
		if got := run(nil, conf, sys); got != 1 {
			t.Errorf("%q: status %d", text, got)
		}
		if got, _ := os.ReadFile(sys + "/a"); (string(got) == "1") != isSet {
			t.Errorf("%q: %q", text, got)
		}
		if got, _ := os.ReadFile(outside + "/b"); len(got) != 0 {
			t.Errorf("%q: wrote outside", text)
		}
	}
}

func TestRunRejectsArguments(t *testing.T) {
	conf, sys := t.TempDir(), t.TempDir()
	if got := run([]string{"--version"}, conf, sys); got != 1 {
		t.Errorf("status %d", got)
	}
}
