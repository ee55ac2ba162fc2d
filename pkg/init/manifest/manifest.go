// Package manifest reads the list of files that an image was composed of, and compares it with the
// files that the kernel unpacked.
//
// The kernel only logs what it could not unpack from an initramfs, and boots with the rest. An
// image that is truncated, or too large for the memory, would run with files missing. The manifest
// is the last file in the initramfs: if it is complete and every path in it exists, the image is
// complete.
//
// Format: a line "lkt-manifest 1 COUNT", then COUNT lines "TYPE MODE UID GID SIZE PATH". TYPE is
// one of f d l c b p, MODE is octal, the other numbers are decimal. PATH has no leading slash and
// escapes special bytes as %XX.
package manifest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"syscall"
)

// Path is the path of the manifest in an image.
const Path = "/usr/share/lkt/manifest"

const (
	maxLine    = 64 << 10
	maxEntries = 4 << 20
)

// Entry is one path of an image.
type Entry struct {
	Type byte // one of f d l c b p
	Mode uint32
	UID  uint32
	GID  uint32
	Size int64
	Path string // relative to the root, not escaped
}

// Read calls visit for every entry of the manifest in r. It returns an error if the manifest is
// incomplete or invalid.
func Read(r io.Reader, visit func(Entry) error) (count int, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), maxLine)
	if !lines.Scan() {
		if err := lines.Err(); err != nil {
			return 0, err
		}
		return 0, errors.New("empty manifest")
	}
	want, err := header(lines.Text())
	if err != nil {
		return 0, err
	}
	for lines.Scan() {
		if count == want {
			return count, fmt.Errorf("manifest has more than %d entries", want)
		}
		entry, err := parse(lines.Text())
		if err != nil {
			return count, fmt.Errorf("manifest line %d: %w", count+2, err)
		}
		count++
		if err := visit(entry); err != nil {
			return count, err
		}
	}
	if err := lines.Err(); err != nil {
		return count, fmt.Errorf("manifest line %d: %w", count+2, err)
	}
	if count != want {
		return count, fmt.Errorf("manifest ends after %d of %d entries", count, want)
	}
	return count, nil
}

// Verify returns an error if the file system under root differs from entry.
func Verify(root string, entry Entry) error {
	path := root + "/" + entry.Path
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		return &fs.PathError{Op: "missing", Path: path, Err: err}
	}
	if got := typeOf(st.Mode); got != entry.Type {
		return fmt.Errorf("%s: type %c instead of %c", path, got, entry.Type)
	}
	if entry.Type == 'f' && st.Size != entry.Size {
		return fmt.Errorf("%s: %d bytes instead of %d", path, st.Size, entry.Size)
	}
	// A symlink has no mode of its own on Linux.
	if mode := st.Mode & 0o7777; entry.Type != 'l' && mode != entry.Mode {
		return fmt.Errorf("%s: mode %04o instead of %04o", path, mode, entry.Mode)
	}
	if st.Uid != entry.UID || st.Gid != entry.GID {
		return fmt.Errorf("%s: owner %d:%d instead of %d:%d", path, st.Uid, st.Gid, entry.UID, entry.GID)
	}
	return nil
}

func header(line string) (count int, err error) {
	fields := strings.Split(line, " ")
	if len(fields) != 3 || fields[0] != "lkt-manifest" {
		return 0, errors.New("not an lkt manifest")
	}
	if fields[1] != "1" {
		return 0, fmt.Errorf("unknown manifest version %q", fields[1])
	}
	count, err = strconv.Atoi(fields[2])
	if err != nil || count < 0 || count > maxEntries {
		return 0, fmt.Errorf("invalid manifest count %q", fields[2])
	}
	return count, nil
}

func parse(line string) (Entry, error) {
	fields := strings.SplitN(line, " ", 6)
	if len(fields) != 6 {
		return Entry{}, errors.New("not six fields")
	}
	if len(fields[0]) != 1 || !strings.Contains("fdlcbp", fields[0]) {
		return Entry{}, fmt.Errorf("invalid type %q", fields[0])
	}
	mode, err := strconv.ParseUint(fields[1], 8, 12)
	if err != nil {
		return Entry{}, fmt.Errorf("invalid mode %q", fields[1])
	}
	uid, err := strconv.ParseUint(fields[2], 10, 32)
	if err != nil {
		return Entry{}, fmt.Errorf("invalid uid %q", fields[2])
	}
	gid, err := strconv.ParseUint(fields[3], 10, 32)
	if err != nil {
		return Entry{}, fmt.Errorf("invalid gid %q", fields[3])
	}
	size, err := strconv.ParseInt(fields[4], 10, 64)
	if err != nil || size < 0 {
		return Entry{}, fmt.Errorf("invalid size %q", fields[4])
	}
	path, err := Unescape(fields[5])
	if err != nil {
		return Entry{}, err
	}
	return Entry{
		Type: fields[0][0], Mode: uint32(mode), UID: uint32(uid), GID: uint32(gid), Size: size, Path: path,
	}, nil
}

// Unescape decodes %XX. It rejects paths that are not clean relative paths.
func Unescape(text string) (string, error) {
	path := text
	if strings.Contains(text, "%") {
		var b strings.Builder
		for i := 0; i < len(text); i++ {
			if text[i] != '%' {
				b.WriteByte(text[i])
				continue
			}
			if i+2 >= len(text) {
				return "", fmt.Errorf("invalid escape in %q", text)
			}
			c, err := strconv.ParseUint(text[i+1:i+3], 16, 8)
			if err != nil {
				return "", fmt.Errorf("invalid escape in %q", text)
			}
			b.WriteByte(byte(c))
			i += 2
		}
		path = b.String()
	}
	if strings.ContainsRune(path, 0) {
		return "", fmt.Errorf("invalid path %q", text)
	}
	for _, part := range strings.Split(path, "/") {
		if part == "" || part == "." || part == ".." {
			return "", fmt.Errorf("invalid path %q", text)
		}
	}
	return path, nil
}

func typeOf(mode uint32) byte {
	switch mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		return 'f'
	case syscall.S_IFDIR:
		return 'd'
	case syscall.S_IFLNK:
		return 'l'
	case syscall.S_IFCHR:
		return 'c'
	case syscall.S_IFBLK:
		return 'b'
	case syscall.S_IFIFO:
		return 'p'
	}
	return '?'
}
