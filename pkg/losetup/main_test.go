package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if _, err := open(request{file: path}); err == nil || !strings.Contains(err.Error(), "use --create") {
		t.Error(err)
	}
	for range 2 {
		file, err := open(request{file: path, create: true, size: 2})
		if err != nil {
			t.Fatal(err)
		}
		info, err := file.Stat()
		if err != nil || info.Size() != 2<<20 || info.Mode() != 0o600 {
			t.Error(info, err)
		}
		var stat unix.Stat_t
		if err := unix.Fstat(int(file.Fd()), &stat); err != nil || stat.Blocks < 2<<11 {
			t.Errorf("%d blocks, %v", stat.Blocks, err)
		}
		file.Close()
	}
}

func TestOpenRejectsOtherFiles(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink("/etc/passwd", link); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, r := range []request{
		{file: link, create: true, size: 1}, {file: pipe}, {file: dir}, {file: "/dev/null"},
		{file: filepath.Join(dir, "new"), create: true}, {file: filepath.Join(dir, "new"), create: true, size: -1},
		{file: filepath.Join(dir, "new"), create: true, size: 1 << 39},
	} {
		if _, err := open(r); err == nil {
			t.Errorf("%+v", r)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "new")); err == nil {
		t.Error("a file that is too large still exists")
	}
	if err := run(request{file: "/etc/passwd", device: "/dev/sda"}); err == nil || !strings.Contains(err.Error(), "is not a loop device") {
		t.Error(err)
	}
}
