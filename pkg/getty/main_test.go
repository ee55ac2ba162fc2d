package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"lkt/getty/crypt"
)

func TestMain(m *testing.M) {
	if directory := os.Getenv("GETTY_TEST"); directory != "" {
		shadow, cmdline = filepath.Join(directory, "shadow"), filepath.Join(directory, "cmdline")
		issue, devices = filepath.Join(directory, "issue"), os.Getenv("GETTY_DEVICES")
	}
	if strings.HasPrefix(os.Args[0], "getty-") || os.Getenv("GETTY_TEST") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestRejectsArguments(t *testing.T) {
	directory := t.TempDir()
	for _, argument := range []string{"--version", "--help", "x"} {
		command := exec.Command("/proc/self/exe", argument)
		command.Env = append(os.Environ(), "GETTY_TEST="+directory)
		out, err := command.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "unexpected argument "+strconv.Quote(argument)) {
			t.Errorf("%s: %s, %v", argument, out, err)
		}
	}
}

func TestConsoles(t *testing.T) {
	for cmdline, want := range map[string][]string{
		"":                  nil,
		"quiet root=/dev/x": nil,
		"console=ttyS0":     {"ttyS0"},
		"console=tty0 console=ttyS0,115200n8 console=ttyS0\n": {"tty1", "ttyS0"},
		"console=../sda console= console=null":                nil,
		"lkt.console=ttyS1":                                   nil,
	} {
		if got := consoles(cmdline); !slices.Equal(got, want) {
			t.Errorf("%q: got %v", cmdline, got)
		}
	}
}

// hash returns the hash of a password that Debian's openssl makes.
func hash(t *testing.T, password string) string {
	t.Helper()
	out, err := exec.Command("openssl", "passwd", "-6", password).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func writeShadow(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shadow")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadShadow(t *testing.T) {
	root := hash(t, "secret")
	path := writeShadow(t, "# users\nroot:"+root+":20000::::::\nroot:other:\nlocked:!"+root+":::\nnone:*::\nopen::::\n:"+root+"\nshort\n")
	hashes, err := readShadow(path)
	if err == nil || !strings.Contains(err.Error(), ":3: the password is neither $5$ nor $6$ of crypt(5)\n  fix: ") {
		t.Error(err)
	}
	hashes, err = readShadow(writeShadow(t, "# users\nroot:"+root+":20000::::::\nlocked:!"+root+":::\nnone:*::\nopen::::\n:"+root+"\nshort\n"))
	if err != nil || len(hashes) != 1 || hashes["root"] != root {
		t.Errorf("%v, %v", hashes, err)
	}
	if _, err := readShadow(writeShadow(t, strings.Repeat("#", maxShadow+1))); err == nil {
		t.Error("read a long file")
	}
	if _, err := readShadow(filepath.Join(t.TempDir(), "absent")); !os.IsNotExist(err) {
		t.Error(err)
	}
}

func TestVerifies(t *testing.T) {
	hashes := map[string]string{"root": hash(t, "secret")}
	for a, want := range map[attempt]bool{
		{"root", "secret"}: true, {"root", "Secret"}: false, {"root", ""}: false, {"toor", "secret"}: false, {"", ""}: false,
	} {
		if verifies(hashes, a) != want {
			t.Errorf("%+v", a)
		}
	}
	// An unknown name costs a verification too.
	if verifies(nil, attempt{"root", ""}) {
		t.Error("verified without a hash")
	}
}

func TestDecodeAttempt(t *testing.T) {
	if a, err := decodeAttempt(attempt{"root", "p w"}.encode()); err != nil || a != (attempt{"root", "p w"}) {
		t.Errorf("%+v, %v", a, err)
	}
	long := strings.Repeat("x", maxWord+1)
	for _, text := range []string{"", "root", "root\x00a\x00b", long + "\x00", "\x00" + long} {
		if a, err := decodeAttempt([]byte(text)); err == nil {
			t.Errorf("%q: %+v", text, a)
		}
	}
}

func TestReadLineIsBounded(t *testing.T) {
	for input, want := range map[string]string{
		"root\nx":                        "root",
		strings.Repeat("a", 5000) + "\n": strings.Repeat("a", maxWord),
		"":                               "error",
		"ro\x00ot\n":                     "error",
		"without an end":                 "error",
		"carriage return\r":              "carriage return",
	} {
		reader := strings.NewReader(input)
		line, err := readLine(func(b []byte) (int, error) {
			n, _ := reader.Read(b)
			return n, nil
		})
		if (err != nil) != (want == "error") || err == nil && line != want {
			t.Errorf("%.20q: %q, %v", input, line, err)
		}
	}
}

func FuzzAttempt(f *testing.F) {
	f.Add([]byte("root\x00password"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decodeAttempt(b)
		if err == nil && string(a.encode()) != string(b) {
			t.Fatalf("%+v", a)
		}
	})
}

// FuzzShadow reads a file of hashed passwords, which a config may take from a disk.
func FuzzShadow(f *testing.F) {
	f.Add("root:$6$salt$hash:20000::::::\nlocked:!::\n")
	path := filepath.Join(f.TempDir(), "shadow")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		hashes, err := readShadow(path)
		if err == nil && len(hashes) > maxHashes {
			t.Fatalf("%d hashes", len(hashes))
		}
		for name, hash := range hashes {
			if _, err := crypt.Parse(hash); name == "" || err != nil {
				t.Fatalf("%q: %q", name, hash)
			}
		}
	})
}
