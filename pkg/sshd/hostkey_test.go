package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadOrCreateKeepsKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	first, err := loadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := loadOrCreate(path)
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("%x is not %x, %v", second, first, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

func TestLoadOrCreateRejectsInvalidKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("\x00\x00\x00\xffssh"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadOrCreate(path); err == nil {
		t.Error("accepted")
	}
	if data, _ := os.ReadFile(path); len(data) != 7 {
		t.Error("replaced")
	}
}

// dropbear reads the key and shows the same fingerprint.
func TestDropbearReadsTheKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	key, err := loadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("dropbearkey", "-y", "-f", path).CombinedOutput()
	if err != nil || !strings.Contains(string(out), fingerprint(key)) {
		t.Errorf("%s: %v\n%s", fingerprint(key), err, out)
	}
}
