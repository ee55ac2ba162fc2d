package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lkt/storage/disktest"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{"1G": 1 << 30, "100M": 100 << 20, "5670K": 5670 << 10, "8765432": 8765432, "8589934591G": 8589934591 << 30} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "G", "1g", "1T", "-1", "+1", "1GG", "1G1", "0x10", " 1", "8589934592G", "9223372036854775808"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q: %d", text, got)
		}
	}
}

func TestParseRejectsInvalidRequests(t *testing.T) {
	for _, test := range []struct {
		path, size, want string
	}{
		{"", "1G", "--path is required"},
		{"/var/swap", "", "--size is required"},
		{"/var/swap", "1K", "at least 40960 bytes"},
		{"/etc/swap", "1G", "in /var"},
		{"/var/../etc/swap", "1G", "in /var"},
		{"/variable", "1G", "in /var"},
		{"/dev/vdb", "1G", "uses all of /dev/vdb"},
	} {
		r := request{path: test.path}
		if err := r.parse(test.size, nil); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v", test, err)
		}
	}
	r := request{path: "/var/external/swap"}
	if err := r.parse("40960", nil); err != nil || r.size != 40960 {
		t.Error(r, err)
	}
	if err := r.parse("40960", []string{"more"}); err == nil {
		t.Error("accepted an extra argument")
	}
}

func TestParseAndCheckConditions(t *testing.T) {
	for text, want := range map[string]condition{
		"part:/var/x":                {path: "/var/x", mounted: true},
		"part:/var/x:true":           {path: "/var/x", mounted: true, required: true},
		"partsize:/var/x:100G":       {path: "/var/x", size: 100 << 30},
		"partsize:/var/x:1:true":     {path: "/var/x", size: 1, required: true},
		"partsize:/var/x:1:whatever": {path: "/var/x", size: 1},
	} {
		if got, err := parseCondition(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "part", "part:", "part:x", "part:/x:true:more", "partsize:/x", "partsize:/x:y", "disk:/x"} {
		if got, err := parseCondition(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
	for _, test := range []struct {
		c           condition
		ok, skipped bool
	}{
		{condition{path: "/proc", mounted: true}, true, false},
		{condition{path: "/pro", mounted: true}, false, true},
		{condition{path: "/pro", mounted: true, required: true}, false, false},
		{condition{path: "/", size: 1}, true, false},
		{condition{path: "/", size: 1 << 62}, false, true},
		{condition{path: "/absent", size: 1, required: true}, false, false},
	} {
		if err := test.c.check(); (err == nil) != test.ok || errors.Is(err, errSkipped) != test.skipped {
			t.Errorf("%+v: %v", test.c, err)
		}
	}
}

// The header is checked by other programs.
func TestPrepareFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "swap")
	for _, size := range []int64{1 << 20, 1 << 20, 2 << 20} {
		if got, err := prepare(disktest.Parser{}, request{path: path, size: size}); err != nil || got != path {
			t.Fatal(got, err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Size() != size || info.Mode() != 0o600 {
			t.Error(info, err)
		}
		output, err := exec.Command("blkid", "--probe", "--output", "export", path).CombinedOutput()
		if err != nil || !strings.Contains(string(output), "TYPE=swap") || !strings.Contains(string(output), "VERSION=1") {
			t.Errorf("%s: %v", output, err)
		}
		output, err = exec.Command("swaplabel", path).CombinedOutput()
		if err != nil || !strings.Contains(string(output), "UUID:") {
			t.Errorf("%s: %v", output, err)
		}
	}
}

func TestPrepareKeepsOtherFiles(t *testing.T) {
	dir := t.TempDir()
	precious, link := filepath.Join(dir, "precious"), filepath.Join(dir, "link")
	if err := os.WriteFile(precious, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(precious, link); err != nil {
		t.Fatal(err)
	}
	for _, r := range []request{
		{path: precious, size: 4}, {path: precious, size: 1 << 20}, {path: link, size: 1 << 20}, {path: dir, size: 1 << 20}, {path: "/dev/null"},
		{path: filepath.Join(dir, "large"), size: 1 << 60}, {path: filepath.Join(dir, "small"), size: 1 << 20, encrypt: true},
	} {
		if got, err := prepare(disktest.Parser{}, r); err == nil {
			t.Errorf("%+v: %s", r, got)
		}
	}
	if data, err := os.ReadFile(precious); err != nil || string(data) != "data" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "large")); err == nil {
		t.Error("a file that is too large still exists")
	}
}

func FuzzIsSwap(f *testing.F) {
	page := make([]byte, pageSize)
	copy(page[pageSize-10:], "SWAPSPACE2")
	f.Add(page)
	f.Add(page[:pageSize-1])
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := os.Create(filepath.Join(t.TempDir(), "disk"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := file.Write(data); err != nil {
			t.Fatal(err)
		}
		if isSwap(disktest.Parser{}, file) && (len(data) < pageSize || string(data[pageSize-10:pageSize]) != "SWAPSPACE2") {
			t.Fatal("takes something else for swap")
		}
	})
}

func FuzzArguments(f *testing.F) {
	f.Add("/var/swap", "1G", "part:/var:true")
	f.Add("/dev/vdb", "", "partsize:/var:10M")
	f.Fuzz(func(t *testing.T, path, size, text string) {
		r := request{path: path}
		if err := r.parse(size, nil); err == nil && !r.isDevice() && (r.size < minPages*pageSize || !strings.HasPrefix(path, "/var/")) {
			t.Fatalf("%+v", r)
		}
		if c, err := parseCondition(text); err == nil && (c.path == "" || c.path[0] != '/' || c.size < 0) {
			t.Fatalf("%+v", c)
		}
	})
}
