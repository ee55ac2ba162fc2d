package roots

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	list, err := Read(strings.NewReader("lkt-roots 1 2\n0000002a roots/root.erofs /\nCBF43926 roots/a%20b.erofs /a%20b\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Root{{0x2a, "roots/root.erofs", ""}, {0xcbf43926, "roots/a b.erofs", "a b"}}
	if len(list) != 2 || list[0] != want[0] || list[1] != want[1] {
		t.Errorf("got %v", list)
	}
}

func TestReadRejectsInvalidLists(t *testing.T) {
	const root = "0000002a roots/root.erofs /\n"
	for name, text := range map[string]string{
		"empty":                   "",
		"other file":              "lkt-manifest 1 1\n" + root,
		"later version":           "lkt-roots 2 1\n" + root,
		"count 0":                 "lkt-roots 1 0\n",
		"entry missing":           "lkt-roots 1 2\n" + root,
		"extra entry":             "lkt-roots 1 1\n" + root + "0000002a b /b\n",
		"no root":                 "lkt-roots 1 1\n0000002a roots/b.erofs /b\n",
		"short checksum":          "lkt-roots 1 1\n2a roots/root.erofs /\n",
		"invalid checksum":        "lkt-roots 1 1\n0000002x roots/root.erofs /\n",
		"no target":               "lkt-roots 1 1\n0000002a roots/root.erofs\n",
		"target outside the root": "lkt-roots 1 2\n" + root + "0000002a b /../b\n",
		"file outside the root":   "lkt-roots 1 1\n0000002a ../b /\n",
		"relative target":         "lkt-roots 1 2\n" + root + "0000002a b b\n",
	} {
		if list, err := Read(strings.NewReader(text)); err == nil {
			t.Errorf("%s: got %v", name, list)
		}
	}
}

func TestVerify(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "x"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root := Root{Sum: 0xcbf43926, File: "x"} // the check value of CRC-32/ISO-HDLC
	write("123456789")
	if err := root.Verify(dir); err != nil {
		t.Error(err)
	}
	for _, text := range []string{"123456788", "12345678", "1234567890", ""} {
		write(text)
		if err := root.Verify(dir); err == nil || !strings.Contains(err.Error(), "CRC-32") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := (Root{File: "y"}).Verify(dir); err == nil {
		t.Error("verified a missing file")
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("lkt-roots 1 2\n0123abcd root.erofs /\nffffffff a%20b /usr/lib\n"))
	f.Add([]byte("lkt-roots 1 1\n0123abcd x /%\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := Read(bytes.NewReader(data))
		if err != nil {
			if list != nil {
				t.Fatal("a list and an error")
			}
			return
		}
		if len(list) == 0 || list[0].Target != "" || len(list) > len(data)/13 {
			t.Fatalf("%q is read as %v", data, list)
		}
	})
}
