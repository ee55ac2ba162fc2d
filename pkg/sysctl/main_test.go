package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRunStatus(t *testing.T) {
	for text, want := range map[string]int{"a = 1\n": 0, "absent = 1\n": 0, "dir = 1\n": 1, "a\n": 1} {
		dir, root := t.TempDir(), t.TempDir()
		for _, err := range []error{
			os.WriteFile(filepath.Join(dir, "a.conf"), []byte(text), 0o600),
			os.WriteFile(filepath.Join(root, "a"), nil, 0o600),
			os.Mkdir(filepath.Join(root, "dir"), 0o700),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if got := run(nil, dir, root); got != want {
			t.Errorf("%q: status %d", text, got)
		}
	}
}

func TestRunRejectsArguments(t *testing.T) {
	dir, root := t.TempDir(), t.TempDir()
	if got := run([]string{"--version"}, dir, root); got != 1 {
		t.Errorf("status %d", got)
	}
}
