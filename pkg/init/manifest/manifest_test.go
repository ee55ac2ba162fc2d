package manifest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func read(text string) ([]Entry, error) {
	var entries []Entry
	_, err := Read(strings.NewReader(text), func(e Entry) error {
		entries = append(entries, e)
		return nil
	})
	return entries, err
}

func TestReadReturnsEveryEntry(t *testing.T) {
	entries, err := read("lkt-manifest 1 3\nd 0755 0 0 0 etc\nf 0644 1 2 34 etc/a%20b%25\nl 0777 0 0 0 bin\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{
		{Type: 'd', Mode: 0o755, Path: "etc"},
		{Type: 'f', Mode: 0o644, UID: 1, GID: 2, Size: 34, Path: "etc/a b%"},
		{Type: 'l', Mode: 0o777, Path: "bin"},
	}
	if fmt.Sprint(entries) != fmt.Sprint(want) {
		t.Errorf("got %v", entries)
	}
}

func TestReadRejectsInvalidManifest(t *testing.T) {
	for name, text := range map[string]string{
		"empty":         "",
		"other file":    "hello\n",
		"next version":  "lkt-manifest 2 0\n",
		"no count":      "lkt-manifest 1\n",
		"huge count":    "lkt-manifest 1 99999999999\n",
		"truncated":     "lkt-manifest 1 2\nd 0755 0 0 0 etc\n",
		"too long":      "lkt-manifest 1 0\nd 0755 0 0 0 etc\n",
		"cut in a line": "lkt-manifest 1 1\nd 0755 0 0",
		"bad type":      "lkt-manifest 1 1\nx 0755 0 0 0 etc\n",
		"bad mode":      "lkt-manifest 1 1\nd 0999 0 0 0 etc\n",
		"mode bits":     "lkt-manifest 1 1\nd 10755 0 0 0 etc\n",
		"negative size": "lkt-manifest 1 1\nf 0644 0 0 -1 etc\n",
		"absolute":      "lkt-manifest 1 1\nd 0755 0 0 0 /etc\n",
		"dots":          "lkt-manifest 1 1\nd 0755 0 0 0 a/../b\n",
		"escaped dots":  "lkt-manifest 1 1\nd 0755 0 0 0 a/%2e%2e/b\n",
		"NUL":           "lkt-manifest 1 1\nd 0755 0 0 0 a%00\n",
		"half escape":   "lkt-manifest 1 1\nd 0755 0 0 0 a%2\n",
	} {
		if _, err := read(text); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestVerifyNamesTheDifference(t *testing.T) {
	root := t.TempDir()
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, []byte("four"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	uid, gid := uint32(os.Getuid()), uint32(os.Getgid())
	good := Entry{Type: 'f', Mode: 0o640, UID: uid, GID: gid, Size: 4, Path: "file"}
	link := Entry{Type: 'l', Mode: 0o777, UID: uid, GID: gid, Path: "link"}
	for _, e := range []Entry{good, link} {
		if err := Verify(root, e); err != nil {
			t.Errorf("%s: %v", e.Path, err)
		}
	}
	for want, change := range map[string]func(*Entry){
		"missing":     func(e *Entry) { e.Path = "absent" },
		"type f":      func(e *Entry) { e.Type = 'd' },
		"4 bytes":     func(e *Entry) { e.Size = 5 },
		"mode 0640":   func(e *Entry) { e.Mode = 0o600 },
		"instead of ": func(e *Entry) { e.UID++ },
	} {
		e := good
		change(&e)
		if err := Verify(root, e); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("lkt-manifest 1 2\nd 0755 0 0 0 etc\nf 0644 1 2 34 etc/a%20b%25\n")
	f.Add("lkt-manifest 1 1\nl 0777 0 0 0 bin")
	f.Fuzz(func(t *testing.T, text string) {
		entries, err := read(text)
		if err != nil {
			return
		}
		var b strings.Builder
		fmt.Fprintf(&b, "lkt-manifest 1 %d\n", len(entries))
		for _, e := range entries {
			if e.Path == "" || strings.HasPrefix(e.Path, "/") {
				t.Fatalf("path %q", e.Path)
			}
			fmt.Fprintf(&b, "%c %04o %d %d %d ", e.Type, e.Mode, e.UID, e.GID, e.Size)
			for i := range len(e.Path) {
				fmt.Fprintf(&b, "%%%02x", e.Path[i])
			}
			b.WriteString("\n")
		}
		again, err := read(b.String())
		if err != nil || fmt.Sprint(again) != fmt.Sprint(entries) {
			t.Fatalf("%v: %v is not %v", err, again, entries)
		}
	})
}
