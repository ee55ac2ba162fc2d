package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestResult(t *testing.T) {
	for want, err := range map[string]error{
		"OPEN": nil, "EPERM": syscall.EPERM, "EROFS": &os.PathError{Op: "open", Path: "/x", Err: syscall.EROFS},
		"killed": stopped("killed"), "another": fmt.Errorf("another"),
	} {
		if got := result(err); got != want {
			t.Errorf("%s instead of %s", got, want)
		}
	}
}

func TestAnyOfNeedsOneSuccess(t *testing.T) {
	try := func(way int) error {
		if way == 2 {
			return nil
		}
		return syscall.EPERM
	}
	if anyOf([]int{1, 2, 3}, try) != nil || anyOf([]int{1, 3}, try) == nil || anyOf(nil, try) == nil {
		t.Error("wrong result of anyOf")
	}
}

func TestAnyOfPrefersExistingTarget(t *testing.T) {
	answers := []error{syscall.ENOENT, syscall.EROFS, syscall.EPERM, syscall.ENOENT}
	for want, attempts := range map[string][]error{"EROFS": answers, "ENOENT": answers[:1]} {
		if got := result(anyOf(attempts, func(err error) error { return err })); got != want {
			t.Errorf("%s instead of %s", got, want)
		}
	}
}

func TestDigestDetectsChanges(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{digest(dir): true}
	for name, change := range map[string]func() error{
		"content": func() error { return os.WriteFile(path, []byte("y"), 0o644) },
		"mode":    func() error { return os.Chmod(path, 0o755) },
		"file":    func() error { return os.WriteFile(path+"2", nil, 0o644) },
		"link":    func() error { return os.Symlink("file", path+"3") },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		now := digest(dir)
		if seen[now] || now != digest(dir) {
			t.Errorf("%s: %s", name, now)
		}
		seen[now] = true
	}
}

func TestReadRejectsEmptyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := read(path); result(err) != "empty" {
		t.Error(err)
	}
	if err := write(path, "x"); err != nil {
		t.Fatal(err)
	}
	if err := read(path); err != nil {
		t.Error(err)
	}
}
