package loop

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNumber(t *testing.T) {
	if got, err := Number("/dev/loop12"); err != nil || got != 12 {
		t.Error(got, err)
	}
	for _, path := range []string{"", "/dev/loop", "/dev/loop-1", "/dev/loop01", "/dev/loop1p1", "/dev/sda", "/dev/loop99999", "loop0"} {
		if got, err := Number(path); err == nil {
			t.Errorf("%q: %d", path, got)
		}
	}
}

func TestAttachFree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	content := bytes.Repeat([]byte("x"), 1<<20)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	device, err := AttachFree(file)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := os.Open(device)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	defer unix.IoctlSetInt(int(opened.Fd()), unix.LOOP_CLR_FD, 0)
	if got, err := io.ReadAll(opened); err != nil || !bytes.Equal(got, content) {
		t.Error(len(got), err)
	}
	if err := Attach(device, file); err == nil {
		t.Error("attached a second file")
	}
}
