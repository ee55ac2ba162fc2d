package iso9660

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// makeImage returns an image made by genisoimage, which other systems use for metadata disks.
func makeImage(t testing.TB, files map[string]string, options ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, "files", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	image := filepath.Join(dir, "image")
	args := append([]string{"-quiet", "-o", image, "-volid", "cidata"}, options...)
	if out, err := exec.Command("genisoimage", append(args, filepath.Join(dir, "files"))...).CombinedOutput(); err != nil {
		t.Fatalf("genisoimage: %v\n%s", err, out)
	}
	data, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestReadFile(t *testing.T) {
	long := strings.Repeat("long-name-", 9)
	files := map[string]string{
		"user-data": "text\n", "config": "other", "empty": "", "openstack/latest/user_data": "deep", long: "long",
	}
	for options, names := range map[string][]string{
		"-rock":         {"user-data", "config", "empty", "openstack/latest/user_data", long},
		"-joliet":       {"user-data", "config", "empty", "openstack/latest/user_data"},
		"-joliet -rock": {"user-data", "config", "empty", "openstack/latest/user_data", long},
		"":              {"config", "empty"},
	} {
		image, err := Open(bytes.NewReader(makeImage(t, files, strings.Fields(options)...)))
		if err != nil {
			t.Fatalf("%s: %v", options, err)
		}
		if image.Label != "cidata" {
			t.Errorf("%s: label %q", options, image.Label)
		}
		for _, name := range names {
			if data, err := image.ReadFile(name, 100); err != nil || string(data) != files[name] {
				t.Errorf("%s: %s: %q, %v", options, name, data, err)
			}
		}
		for _, name := range []string{"absent", "", ".", "..", "../config", "config/x", "/config"} {
			if data, err := image.ReadFile(name, 100); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %s: %q, %v", options, name, data, err)
			}
		}
		if data, err := image.ReadFile("config", 4); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: more than max bytes: %q, %v", options, data, err)
		}
	}
}

// TestDirectoryOfManySectors tests that records do not cross sector boundaries.
func TestDirectoryOfManySectors(t *testing.T) {
	files := map[string]string{"user-data": "text"}
	for i := range 200 {
		files[strings.Repeat("x", 1+i%60)+string(rune('a'+i%26))] = ""
	}
	image, err := Open(bytes.NewReader(makeImage(t, files, "-rock")))
	if err != nil {
		t.Fatal(err)
	}
	if data, err := image.ReadFile("user-data", 100); err != nil || string(data) != "text" {
		t.Errorf("%q, %v", data, err)
	}
}

func TestReadFileOfTruncatedImage(t *testing.T) {
	whole := makeImage(t, map[string]string{"user-data": strings.Repeat("x", 5000)}, "-rock")
	for size := 0; size < len(whole); size += sector / 2 {
		image, err := Open(bytes.NewReader(whole[:size]))
		if err != nil {
			continue
		}
		// The end of the image is padding.
		if data, err := image.ReadFile("user-data", 1<<20); err == nil && len(data) != 5000 {
			t.Errorf("%d bytes of the image: %d of the file", size, len(data))
		}
	}
}

func TestRockRidgeJoinsNames(t *testing.T) {
	fields := []byte("PX\x05\x01xNM\x09\x01\x01userNM\x0a\x01\x00-dataXX\x00")
	if name := rockRidge(fields); name != "user-data" {
		t.Errorf("%q", name)
	}
	for _, broken := range []string{"", "NM", "NM\x00\x01", "NM\x04\x01", "NM\xff\x01\x00a", "NM\x05\x01\x02"} {
		if name := rockRidge([]byte(broken)); name != "" {
			t.Errorf("%q: %q", broken, name)
		}
	}
}

// sparse has the first bytes of every sector from the descriptors on, and the rest reads as zeros:
// this keeps fuzz inputs small.
type sparse []byte

const sectorPrefix = 640

func (s sparse) ReadAt(p []byte, at int64) (int, error) {
	for i := range p {
		number, within := (at+int64(i))/sector-firstDescriptor, (at+int64(i))%sector
		if number < 0 || number*sectorPrefix >= int64(len(s)) {
			return i, io.EOF
		}
		p[i] = 0
		if from := number*sectorPrefix + within; within < sectorPrefix && from < int64(len(s)) {
			p[i] = s[from]
		}
	}
	return len(p), nil
}

func sparseOf(data []byte) (s sparse) {
	for at := firstDescriptor * sector; at < len(data) && at < 40*sector; at += sector {
		s = append(s, data[at:at+sectorPrefix]...)
	}
	return s
}

func FuzzReadFile(f *testing.F) {
	files := map[string]string{"user-data": "text", "config": "x", "openstack/latest/user_data": "y"}
	for _, options := range [][]string{{"-rock"}, {"-joliet"}, nil} {
		s := sparseOf(makeImage(f, files, options...))
		if image, err := Open(s); err != nil {
			f.Fatal(err)
		} else if data, err := image.ReadFile("config", 100); err != nil || string(data) != "x" {
			f.Fatalf("%q, %v", data, err)
		}
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		image, err := Open(sparse(data))
		if err != nil {
			return
		}
		for _, name := range []string{"user-data", "config", "openstack/latest/user_data"} {
			const max = 1 << 16
			if data, err := image.ReadFile(name, max); err == nil && len(data) > max {
				t.Fatalf("%s: %d bytes", name, len(data))
			}
		}
	})
}
