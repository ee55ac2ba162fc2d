package disk

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lkt/metadata/instance"
)

// write creates an ISO image in dir, with a label and files.
func write(t *testing.T, dir, name, label string, files map[string]string) {
	t.Helper()
	from := t.TempDir()
	for name, text := range files {
		path := filepath.Join(from, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.Command("genisoimage", "-quiet", "-rock", "-volid", label, "-o", filepath.Join(dir, name), from)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("genisoimage: %v\n%s", err, out)
	}
}

func readAll(t *testing.T, dir string) (*instance.Metadata, error) {
	t.Helper()
	return readWith(t, dir, Read)
}

func readWith(t *testing.T, dir string, read func([]Device) (*instance.Metadata, error)) (*instance.Metadata, error) {
	t.Helper()
	all, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		for _, device := range all {
			device.File.Close()
		}
	}()
	return read(all)
}

func TestReadPrefersCDs(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "vda", "other", map[string]string{"user-data": "wrong"})
	write(t, dir, "loop0", "cidata", map[string]string{"user-data": "wrong"})
	if err := os.WriteFile(filepath.Join(dir, "vdb"), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readAll(t, dir); !errors.Is(err, ErrNone) {
		t.Fatal(err)
	}
	for _, disk := range []struct{ name, label, file string }{
		{"vdc", "CIDATA", "user-data"}, {"sda", "CONFIG", "config"}, {"sr1", "anything", "config"}, {"sr0", "", "user-data"},
	} {
		write(t, dir, disk.name, disk.label, map[string]string{disk.file: "of " + disk.name})
		m, err := readAll(t, dir)
		if err != nil || string(m.UserData) != "of "+disk.name || m.Provider != "CDROM /dev/"+disk.name {
			t.Errorf("%s: %+v, %v", disk.name, m, err)
		}
	}
}

func TestReadIgnoresLinks(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	write(t, other, "image", "cidata", map[string]string{"user-data": "x"})
	if err := os.Symlink(filepath.Join(other, "image"), filepath.Join(dir, "sr0")); err != nil {
		t.Fatal(err)
	}
	if m, err := readAll(t, dir); !errors.Is(err, ErrNone) {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestReadMetaData(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "vda", "cidata", map[string]string{"meta-data": "instance-id: i-1\nlocal-hostname: 'web'\n", "user-data": "x"})
	m, err := readAll(t, dir)
	if err != nil || !maps.Equal(m.Values, map[string]string{"instance_id": "i-1", "hostname": "web"}) {
		t.Errorf("%+v, %v", m, err)
	}
	json := "{\n  \"instance-id\": \"i-2\",\n  \"local-hostname\": \"web;rm\"\n}\n"
	write(t, dir, "sr0", "cidata", map[string]string{"meta-data": json})
	m, err = readAll(t, dir)
	if err != nil || !maps.Equal(m.Values, map[string]string{"instance_id": "i-2"}) || len(m.Problems) != 1 || m.UserData != nil {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestReadRejectsLargeFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "vda", "cidata", map[string]string{"user-data": strings.Repeat("x", maxFile+1)})
	if m, err := readAll(t, dir); m != nil || err == nil || !strings.Contains(err.Error(), "vda: user-data: more than") {
		t.Error(err)
	}
}
