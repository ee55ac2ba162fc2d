// Package sysctl sets the kernel's parameters as files of sysctl.d(5) say: PID 1 those of the machine, lkt/sysctl its own.
package sysctl

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// setting is one line of a file of sysctl.d(5): "key = value", with a minus before a key that may fail.
type setting struct {
	place    string // file:line
	key      string
	value    string
	optional bool
}

func parse(path, text string) ([]setting, error) {
	var settings []setting
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		place := fmt.Sprintf("%s:%d", path, number)
		key, value, found := strings.Cut(line, "=")
		if !found {
			return nil, fmt.Errorf("%s: expected key = value", place)
		}
		key, optional := strings.CutPrefix(strings.TrimSpace(key), "-")
		key = strings.TrimSpace(key)
		if !isKey(key) {
			return nil, fmt.Errorf("%s: %q is no name of a parameter", place, key)
		}
		settings = append(settings, setting{place: place, key: key, value: strings.TrimSpace(value), optional: optional})
	}
	return settings, nil
}

// isKey refuses what would leave /proc/sys.
func isKey(key string) bool {
	for _, part := range strings.Split(pathOf(key), "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
		for _, c := range []byte(part) {
			if c <= ' ' || c >= 0x7f || c == '\\' {
				return false
			}
		}
	}
	return true
}

// pathOf is the path of a key. As in sysctl(8), the first separator says whether dots or slashes separate, and the other of the two
// is then part of a name (an interface may be called eth0.5).
func pathOf(key string) string {
	if i := strings.IndexAny(key, "./"); i < 0 || key[i] == '/' {
		return key
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case '.':
			return '/'
		case '/':
			return '.'
		}
		return r
	}, key)
}

func (s setting) apply(root string) error {
	file, err := os.OpenFile(filepath.Join(root, pathOf(s.key)), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	// One write: the kernel takes each write as a whole value.
	if _, err := file.WriteString(s.value + "\n"); err != nil {
		return fmt.Errorf("%s = %s: %w", s.key, s.value, err)
	}
	return nil
}
