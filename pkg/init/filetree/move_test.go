package filetree

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// makeTree makes a directory with each kind of file that needs no privilege.
func makeTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	large := make([]byte, 2*maxCopied+1000)
	for i := range large {
		large[i] = byte(i >> 8 * 7)
	}
	for _, err := range []error{
		os.MkdirAll(dir+"/usr/bin", 0o755),
		os.Mkdir(dir+"/empty", 0o700),
		os.WriteFile(dir+"/usr/bin/program", large, 0o755),
		os.WriteFile(dir+"/none", nil, 0o600),
		os.WriteFile(dir+"/name with\nlines", []byte("x"), 0o644),
		os.Link(dir+"/usr/bin/program", dir+"/usr/link"),
		os.Symlink("/run/absent", dir+"/usr/symlink"),
		unix.Mkfifo(dir+"/pipe", 0o640),
		os.Chmod(dir+"/usr/bin/program", 0o711|fs.ModeSetuid),
		os.Chmod(dir+"/empty", 0o777|fs.ModeSticky),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	// The last path of a directory is the directory: setting times of its files does not change it.
	day := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, path := range pathsOf(t, dir) {
		times := unix.NsecToTimespec(day.Add(time.Duration(i) * time.Hour).UnixNano())
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{times, times}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func pathsOf(t *testing.T, dir string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// describe returns a line for each file: all that Move preserves.
func describe(t *testing.T, dir string) string {
	t.Helper()
	var text strings.Builder
	inodes := map[uint64]string{}
	for _, path := range pathsOf(t, dir) {
		name := strings.TrimPrefix(path, dir)
		var stat unix.Stat_t
		if err := unix.Lstat(path, &stat); err != nil {
			t.Fatal(err)
		}
		content := ""
		switch stat.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			content = fmt.Sprintf("%d bytes of sum %x", len(data), sha256.Sum256(data))
		case unix.S_IFLNK:
			content, _ = os.Readlink(path)
		}
		if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
			if first, found := inodes[stat.Ino]; found {
				content = "as " + first
			}
			inodes[stat.Ino] = name
		}
		fmt.Fprintf(&text, "%q %o %d:%d %d %s\n", name, stat.Mode, stat.Uid, stat.Gid, stat.Mtim.Nano(), content)
	}
	return text.String()
}

func TestMovePreservesFiles(t *testing.T) {
	from, to := makeTree(t), t.TempDir()
	want := describe(t, from)
	if err := Move(from, to); err != nil {
		t.Fatal(err)
	}
	if got := describe(t, to); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if rest := pathsOf(t, from); len(rest) != 1 {
		t.Errorf("left behind: %q", rest)
	}
}

func TestMoveReportsExistingFiles(t *testing.T) {
	from, to := makeTree(t), t.TempDir()
	if err := os.WriteFile(to+"/pipe", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := Move(from, to)
	if err == nil || !strings.Contains(err.Error(), to+"/pipe") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(from + "/pipe"); err != nil {
		t.Errorf("the file is gone: %v", err)
	}
}
