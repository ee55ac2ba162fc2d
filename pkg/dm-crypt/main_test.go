package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lkt/dm-crypt/luks"
	"lkt/storage/disktest"
	"lkt/storage/drive"
)

const secret = "abcdefghijklmnopqrstuvwxyz123456"

// openHere unlocks in the test's process.
func openHere(device *os.File, secret []byte) (luks.Opened, error) { return luks.Open(device, secret) }

func TestReadKey(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	long := write("long", secret+"more\n")
	for _, luks := range []bool{false, true} {
		want := secret
		if luks {
			want += "more\n"
		}
		if got, err := readKey(request{key: long, luks: luks}); err != nil || string(got) != want {
			t.Errorf("%q, %v", got, err)
		}
	}
	for want, r := range map[string]request{
		"has 5 bytes, expected 32":        {key: write("short", "short")},
		"is not a file of 1 to":           {key: write("empty", ""), luks: true},
		"/etc/dm-crypt/absent":            {key: "absent"},
		dir + " is not a file":            {key: dir},
		"/dev/zero is not a file of 1 to": {key: "/dev/zero"},
		"/etc/passwd/x: not a directory":  {key: "/etc/passwd/x"},
	} {
		if _, err := readKey(r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// source returns a file of 20 MiB as a device.
func source(t *testing.T, fill ...string) *drive.Drive {
	t.Helper()
	path := filepath.Join(t.TempDir(), "device")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Truncate(20 << 20); err != nil {
		t.Fatal(err)
	}
	file.Close()
	if len(fill) > 0 {
		if output, err := exec.Command(fill[0], append(fill[1:], path)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
	}
	d, err := drive.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.File.Close() })
	return d
}

func TestDescribeDetectsNewDevice(t *testing.T) {
	content := filepath.Join(t.TempDir(), "content")
	if err := os.MkdirAll(filepath.Join(content, "directory"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		fill  []string
		fresh bool
	}{
		"empty":                       {nil, true},
		"ext4 that was never mounted": {[]string{"mke2fs", "-q", "-t", "ext4"}, true},
		"ext4 with files":             {[]string{"mke2fs", "-q", "-t", "ext4", "-d", content}, false},
		"ext4 that was mounted":       {[]string{"mke2fs", "-q", "-t", "ext4"}, false},
		"swap":                        {[]string{"mkswap"}, false},
		"data without signature":      {[]string{"sh", "-c", `printf x | dd of="$0" bs=1 seek=100000 conv=notrunc`}, false},
	} {
		d := source(t, test.fill...)
		if name == "ext4 that was mounted" {
			if output, err := exec.Command("tune2fs", "-C", "1", d.Path).CombinedOutput(); err != nil {
				t.Fatalf("%s", output)
			}
		}
		crypt, fresh, err := describe(disktest.Parser{}, request{device: d.Path, name: "x"}, d, []byte(secret), openHere)
		if err != nil || fresh != test.fresh || crypt.Offset != 0 || crypt.Cipher != plainCipher || crypt.UUID != "CRYPT-PLAIN-x" {
			t.Errorf("%s: %+v, %v, %v", name, crypt, fresh, err)
		}
		_, fresh, err = describe(disktest.Parser{}, request{device: d.Path, name: "x", luks: true}, d, []byte(secret), openHere)
		if fresh != test.fresh || (err == nil) != test.fresh || err != nil && !errors.Is(err, drive.ErrNotEmpty) {
			t.Errorf("%s, LUKS: %v, %v", name, fresh, err)
		}
	}
}

func TestDescribeCreatesVolumeOnce(t *testing.T) {
	d := source(t)
	r := request{device: d.Path, name: "x", luks: true}
	first, fresh, err := describe(disktest.Parser{}, r, d, []byte(secret), openHere)
	if err != nil || !fresh || first.Offset != 32768 {
		t.Fatal(first, fresh, err)
	}
	second, fresh, err := describe(disktest.Parser{}, r, d, []byte(secret), openHere)
	if err != nil || fresh || string(second.Key) != string(first.Key) || second.UUID != first.UUID || !strings.HasPrefix(second.UUID, "CRYPT-LUKS2-") {
		t.Error(second, fresh, err)
	}
	if _, _, err := describe(disktest.Parser{}, r, d, []byte("another"), openHere); !errors.Is(err, luks.ErrKey) {
		t.Error(err)
	}
	// Without -l, the volume is random data without a file system, and not new.
	if _, fresh, err := describe(disktest.Parser{}, request{device: d.Path, name: "x"}, d, []byte(secret), openHere); fresh || err != nil {
		t.Error(fresh, err)
	}
}

func TestRunRejectsInvalidRequests(t *testing.T) {
	for want, r := range map[string]request{
		"invalid device mapper": {name: "../x"},
		"read key":              {name: "x", key: "/absent"},
		"is not a block device": {name: "x", key: "/etc/hostname", luks: true, device: "/dev/null"},
	} {
		if err := run(disktest.Parser{}, r, openHere); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func FuzzReadKey(f *testing.F) {
	f.Add([]byte(secret), true)
	f.Add([]byte(secret[1:]), false)
	f.Add([]byte(nil), true)
	f.Fuzz(func(t *testing.T, content []byte, luks bool) {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		key, err := readKey(request{key: path, luks: luks})
		switch {
		case len(content) == 0 || !luks && len(content) < plainKey:
			if err == nil {
				t.Fatalf("accepted %d bytes", len(content))
			}
		case err != nil || !luks && len(key) != plainKey || luks && len(key) != len(content):
			t.Fatalf("%d bytes of %d, %v", len(key), len(content), err)
		}
	})
}
