package hostkey

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func read(t *testing.T, directory string) string {
	t.Helper()
	file, err := Open(directory)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	text, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestOpenKeepsKey(t *testing.T) {
	directory := t.TempDir()
	first := read(t, directory)
	if second := read(t, directory); first != second {
		t.Error("changed")
	}
	info, err := os.Stat(filepath.Join(directory, Name))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

func TestOpenRejectsKeyThatOthersMayRead(t *testing.T) {
	directory := t.TempDir()
	read(t, directory)
	if err := os.Chmod(filepath.Join(directory, Name), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(directory); err == nil {
		t.Error("accepted")
	}
}

func TestParseRejectsInvalidKey(t *testing.T) {
	for _, text := range []string{"", "key", strings.Repeat("-----BEGIN OPENSSH PRIVATE KEY-----\n", 2)} {
		if _, err := Parse([]byte(text)); err == nil {
			t.Errorf("%q accepted", text)
		}
	}
}

// OpenSSH reads the key and shows the same fingerprint.
func TestOpenSSHReadsTheKey(t *testing.T) {
	directory := t.TempDir()
	key, err := Parse([]byte(read(t, directory)))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ssh-keygen", "-l", "-f", filepath.Join(directory, Name)).CombinedOutput()
	if want := ssh.FingerprintSHA256(key.PublicKey()); err != nil || !strings.Contains(string(out), want) {
		t.Errorf("%s: %v\n%s", want, err, out)
	}
}

// FuzzParse parses the key on a volume.
func FuzzParse(f *testing.F) {
	file, err := Open(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	defer file.Close()
	text, err := io.ReadAll(file)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := Parse(text)
		if err == nil && key.PublicKey().Type() != ssh.KeyAlgoED25519 {
			t.Fatalf("a key of type %s", key.PublicKey().Type())
		}
	})
}
