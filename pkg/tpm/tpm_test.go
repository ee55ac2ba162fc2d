package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"golang.org/x/sys/unix"
)

// start starts Debian's swtpm, a TPM 2.0 in software, with the state in a directory. end stops it.
func start(t *testing.T, state string) (chip tpm, end func()) {
	t.Helper()
	// The path of a socket has at most 107 bytes.
	dir, err := os.MkdirTemp("/tmp", "tpm-test-")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "socket")
	command := exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+state, "--flags", "not-need-init,startup-clear",
		"--server", "type=unixio,path="+path, "--ctrl", "type=unixio,path="+path+".ctrl")
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	end = func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		os.RemoveAll(dir)
	}
	t.Cleanup(end)
	var conn net.Conn
	for range 600 {
		if conn, err = net.Dial("unix", path); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	file, err := conn.(*net.UnixConn).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	fd := int(file.Fd())
	if err := unix.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
	return tpm{device(fd)}, end
}

func (t tpm) extend(test *testing.T, index uint, event string) {
	test.Helper()
	measured := sha256.Sum256([]byte(event))
	_, err := tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(index), Auth: tpm2.PasswordAuth(nil)},
		Digests:   tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: measured[:]}}},
	}.Execute(t)
	if err != nil {
		test.Fatal(err)
	}
}

func output(t *testing.T, run func(out *bytes.Buffer) error) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestRegistersAndRandomNumbers(t *testing.T) {
	chip, _ := start(t, t.TempDir())
	chip.extend(t, 11, "an image")
	all, err := parse([]string{"pcr"})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(output(t, func(out *bytes.Buffer) error { return all.execute(chip, out) }), "\n")
	if len(lines) != 25 || lines[0] != "0 "+strings.Repeat("0", 64) || lines[11] != fmt.Sprintf("11 %x", extended(digest{}, "an image")) ||
		lines[17] != "17 "+strings.Repeat("f", 64) {
		t.Errorf("%q", lines)
	}
	first := output(t, func(out *bytes.Buffer) error { return chip.printRandom(100, out) })
	if second := output(t, func(out *bytes.Buffer) error { return chip.printRandom(100, out) }); len(first) != 201 || first == second {
		t.Errorf("%q, %q", first, second)
	}
}

// secretFiles returns the request of an unseal in a new directory.
func secretFiles(t *testing.T, options ...string) request {
	t.Helper()
	dir := t.TempDir()
	r, err := parse(append(append([]string{"unseal"}, options...), filepath.Join(dir, "sealed"), filepath.Join(dir, "secret")))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func readSecret(t *testing.T, r request) string {
	t.Helper()
	text, err := os.ReadFile(r.Target)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(r.Target); err != nil || info.Mode().Perm() != 0o400 {
		t.Errorf("%v, %v", info, err)
	}
	return string(text)
}

func TestSecretIsMadeOnceAndOpensForItsImageOnly(t *testing.T) {
	state := t.TempDir()
	boot := func(image string) (tpm, func()) {
		chip, end := start(t, state)
		chip.extend(t, 7, "signer")
		chip.extend(t, 11, image)
		return chip, end
	}
	chip, end := boot("one")
	r := secretFiles(t, "-create", "32")
	// More often than a TPM has room for objects.
	for range 5 {
		if err := r.execute(chip, os.Stderr); err != nil {
			t.Fatal(err)
		}
	}
	secret := readSecret(t, r)
	if len(secret) != 32 {
		t.Errorf("%d bytes", len(secret))
	}
	end()

	chip, end = boot("two")
	if err := r.execute(chip, os.Stderr); !errors.Is(err, errClosed) {
		t.Errorf("of another image: %v", err)
	}
	end()

	chip, end = boot("one")
	chip.extend(t, 12, "a command line from outside")
	if err := r.execute(chip, os.Stderr); !errors.Is(err, errClosed) {
		t.Errorf("with another command line: %v", err)
	}
	end()

	chip, _ = boot("one")
	if err := os.Remove(r.Target); err != nil {
		t.Fatal(err)
	}
	r.Once = true
	if err := r.execute(chip, os.Stderr); err != nil || readSecret(t, r) != secret {
		t.Errorf("of its image: %v", err)
	}
	r.Target += "2"
	if err := r.execute(chip, os.Stderr); !errors.Is(err, errClosed) {
		t.Errorf("a second time: %v", err)
	}
	if _, err := os.Stat(r.Target); err == nil {
		t.Error("a second time: it is written")
	}
}

func TestSecretOfAFile(t *testing.T) {
	chip, _ := start(t, t.TempDir())
	r := secretFiles(t)
	source := filepath.Join(filepath.Dir(r.Sealed), "source")
	s, err := parse([]string{"seal", "-pcrs", "23", source, r.Sealed})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.execute(chip, os.Stderr); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a sealed secret: %v", err)
	}
	for _, size := range []int{1, 128} {
		secret := strings.Repeat("s", size)
		if err := os.WriteFile(source, []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.execute(chip, os.Stderr); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(r.Sealed); err != nil || bytes.Contains(text, []byte(secret)) && size > 1 {
			t.Errorf("%s, %v", text, err)
		}
		if err := r.execute(chip, os.Stderr); err != nil || readSecret(t, r) != secret {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	r.Once = true
	if err := r.execute(chip, os.Stderr); err == nil || !strings.Contains(err.Error(), "register 11") {
		t.Errorf("-once without register 11: %v", err)
	}
	for _, size := range []int{0, 129} {
		if err := os.WriteFile(source, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.execute(chip, os.Stderr); err == nil {
			t.Errorf("sealed %d bytes", size)
		}
	}
}

func TestSealNeedsAMeasuredImage(t *testing.T) {
	chip, _ := start(t, t.TempDir())
	r := secretFiles(t, "-create", "32")
	if err := r.execute(chip, os.Stderr); err == nil || !strings.Contains(err.Error(), "register 11 is zero") {
		t.Error(err)
	}
	if _, err := os.Stat(r.Sealed); err == nil {
		t.Error("it is written")
	}
}

func TestUnsealNeedsTheTPMThatSealed(t *testing.T) {
	one, _ := start(t, t.TempDir())
	other, _ := start(t, t.TempDir())
	r := secretFiles(t, "-create", "32", "-pcrs", "23")
	if err := r.execute(one, os.Stderr); err != nil {
		t.Fatal(err)
	}
	if err := r.execute(other, os.Stderr); err == nil || !strings.Contains(err.Error(), "another TPM sealed it") {
		t.Error(err)
	}
	// A program that writes the file cannot weaken its policy: the TPM knows it.
	text, err := os.ReadFile(r.Sealed)
	if err != nil {
		t.Fatal(err)
	}
	content, err := decode(text)
	if err != nil {
		t.Fatal(err)
	}
	content.Registers = []uint{22}
	if _, err := one.unseal(content); !errors.Is(err, errClosed) {
		t.Errorf("with other registers: %v", err)
	}
	for _, wrong := range []string{"", "{}", `{"pcrs":[24]}`, `{"pcrs":[7,7]}`, `{"pcrs":[-1]}`, `{"pcrs":[7],"x":1}`} {
		if s, err := decode([]byte(wrong)); err == nil {
			t.Errorf("%s decodes to %+v", wrong, s)
		}
	}
	content.Registers, content.Public = []uint{23}, content.Public[:len(content.Public)-1]
	if again, err := json.Marshal(content); err != nil || os.WriteFile(r.Sealed, again, 0o600) != nil {
		t.Fatal(err)
	}
	if err := r.execute(one, os.Stderr); err == nil {
		t.Error("of a damaged file")
	}
}

// An answer that lies about its size is an error.
func TestAnswersAreBounded(t *testing.T) {
	for _, answer := range []string{"", "\x80\x01\x00\x00\x00\x0b\x00\x00\x00\x00", "\x80\x01\x00\x00\x00\x09\x00\x00\x00\x00", "\x80\x01\xff\xff\xff\xff\x00\x00\x00\x00xx"} {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Write(fds[1], []byte(answer)); err != nil {
			t.Fatal(err)
		}
		if err := unix.Shutdown(fds[1], unix.SHUT_WR); err != nil {
			t.Fatal(err)
		}
		if got, err := device(fds[0]).Send([]byte{1}); err == nil {
			t.Errorf("%q: %x", answer, got)
		}
		unix.Close(fds[0])
		unix.Close(fds[1])
	}
}

// FuzzDecode reads files with a sealed secret, which are on a disk.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"pcrs": [4, 11], "public": "AA==", "private": "AA=="}`))
	f.Add([]byte(`{"pcrs": [24]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := decode(text)
		if err == nil && (len(s.Registers) == 0 || len(s.Registers) > registerCount || slices.Max(s.Registers) >= registerCount) {
			t.Fatalf("%+v", s)
		}
	})
}
