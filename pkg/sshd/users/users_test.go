package users

import (
	"os"
	"path"
	"path/filepath"
	"reflect"
	"testing"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const passwd = `root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
ann:x:1000:1001:Ann:/home/ann:
broken:x:a:b:::/bin/sh
root:x:7:7::/tmp:/bin/sh
`

func TestLoadReturnsUsersWithAShell(t *testing.T) {
	users, err := Load(write(t, passwd), write(t, "root:x:0:\nadm:x:4:ann,bob\n"), nil)
	want := []User{
		{Name: "root", Home: "/root", Shell: "/bin/sh"},
		{Name: "ann", UID: 1000, GID: 1001, Groups: []uint32{4}, Home: "/home/ann", Shell: "/bin/sh"},
	}
	if err != nil || !reflect.DeepEqual(users, want) {
		t.Errorf("%+v, %v", users, err)
	}
}

func TestLoadReturnsOnlyNamedUsers(t *testing.T) {
	group := write(t, "")
	users, err := Load(write(t, passwd), group, []string{"ann"})
	if err != nil || len(users) != 1 || users[0].Name != "ann" {
		t.Errorf("%+v, %v", users, err)
	}
	for _, name := range []string{"nobody", "absent"} {
		if _, err := Load(write(t, passwd), group, []string{name}); err == nil {
			t.Errorf("%s may log in", name)
		}
	}
}

// FuzzLoad reads the files of users, which a config may take from a volume.
func FuzzLoad(f *testing.F) {
	f.Add(passwd, "root:x:0:\nadm:x:4:ann,bob\n")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, passwd, group string) {
		paths := map[string]string{filepath.Join(dir, "passwd"): passwd, filepath.Join(dir, "group"): group}
		for path, text := range paths {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		users, err := Load(filepath.Join(dir, "passwd"), filepath.Join(dir, "group"), nil)
		if err == nil && len(users) > MaxUsers {
			t.Fatalf("%d users", len(users))
		}
		for _, u := range users {
			if u.Name == "" || !path.IsAbs(u.Home) || !path.IsAbs(u.Shell) || len(u.Groups) > 64 {
				t.Fatalf("%+v", u)
			}
		}
	})
}
