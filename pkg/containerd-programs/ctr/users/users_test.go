package users

import (
	"archive/tar"
	"bytes"
	"io"
	"reflect"
	"strings"
	"testing"
)

var accounts = Accounts{
	Passwd: []byte("root:x:0:0:root:/root:/bin/sh\napp:x:100:101::/:/bin/false\n7:x:9:9::/:\nbad:x:-1:0::/:\nshort:x\n"),
	Group:  []byte("root:x:0:\napp:x:101:\nlogs:x:200:other,app\nmore:x:201:app\nbad:x:x:app\n"),
}

func TestFind(t *testing.T) {
	for user, want := range map[string]User{
		"":          {},
		"app":       {100, 101, []uint32{200, 201}},
		"100":       {100, 101, []uint32{200, 201}},
		"app:logs":  {100, 200, nil},
		"app:5":     {100, 5, nil},
		"1000":      {UID: 1000},
		"1000:1001": {UID: 1000, GID: 1001},
		"1000:logs": {UID: 1000, GID: 200},
		"7":         {UID: 9, GID: 9},
	} {
		if got, err := Find(user, accounts); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, %v", user, got, err)
		}
	}
	for _, user := range []string{"nobody", "app:", ":", ":0", "bad", "short", "4294967295", "4294967296", "0:-1", "app:bad", "+1"} {
		if got, err := Find(user, accounts); err == nil {
			t.Errorf("%q: got %+v", user, got)
		}
	}
}

func TestNeedsAccounts(t *testing.T) {
	for user, want := range map[string]bool{"": false, "0:0": false, "5:6": false, "5": true, "app": true, "5:app": true} {
		if NeedsAccounts(user) != want {
			t.Errorf("%q: not %v", user, want)
		}
	}
}

// layer returns a tar stream with alternating names and contents; contents that begin with "->"
// make a symbolic link.
func layer(words ...string) func() (io.ReadCloser, error) {
	var data bytes.Buffer
	archive := tar.NewWriter(&data)
	for i := 0; i < len(words); i += 2 {
		header := &tar.Header{Name: words[i], Size: int64(len(words[i+1])), Mode: 0o644}
		if target, isLink := strings.CutPrefix(words[i+1], "->"); isLink {
			header = &tar.Header{Name: words[i], Typeflag: tar.TypeSymlink, Linkname: target}
		}
		if err := archive.WriteHeader(header); err != nil {
			panic(err)
		}
		if header.Typeflag != tar.TypeSymlink {
			_, _ = archive.Write([]byte(words[i+1]))
		}
	}
	archive.Close()
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data.Bytes())), nil }
}

func TestRead(t *testing.T) {
	base := layer("etc/passwd", "old", "etc/group", "old")
	for name, c := range map[string]struct {
		layers        []func() (io.ReadCloser, error)
		passwd, group string
	}{
		"single layer":          {[]func() (io.ReadCloser, error){base}, "old", "old"},
		"upper layer":           {[]func() (io.ReadCloser, error){layer("./etc/passwd", "new"), base}, "new", "old"},
		"whiteout":              {[]func() (io.ReadCloser, error){layer("etc/.wh.passwd", ""), base}, "", "old"},
		"opaque directory":      {[]func() (io.ReadCloser, error){layer("etc/.wh..wh..opq", "", "etc/group", "new"), base}, "", "new"},
		"whiteout of /etc":      {[]func() (io.ReadCloser, error){layer(".wh.etc", ""), base}, "", ""},
		"symbolic link":         {[]func() (io.ReadCloser, error){layer("etc/passwd", "->/proc/self/environ"), base}, "", "old"},
		"path outside the root": {[]func() (io.ReadCloser, error){layer("../etc/passwd", "new"), base}, "new", "old"},
		"no layers":             {nil, "", ""},
	} {
		got, err := Read(c.layers)
		if err != nil || string(got.Passwd) != c.passwd || string(got.Group) != c.group {
			t.Errorf("%s: got %q and %q, %v", name, got.Passwd, got.Group, err)
		}
	}
	if _, err := Read([]func() (io.ReadCloser, error){layer("etc/group", strings.Repeat("x", maxAccountsSize+1))}); err == nil {
		t.Error("read a file over the size limit")
	}
}

func FuzzFind(f *testing.F) {
	f.Add("app:logs", accounts.Passwd, accounts.Group)
	f.Add("7", []byte("a:x:7"), []byte(":::"))
	f.Fuzz(func(t *testing.T, user string, passwd, group []byte) {
		found, err := Find(user, Accounts{Passwd: passwd, Group: group})
		if err == nil && (found.UID == 1<<32-1 || found.GID == 1<<32-1) {
			t.Fatalf("%q: got %+v", user, found)
		}
	})
}
