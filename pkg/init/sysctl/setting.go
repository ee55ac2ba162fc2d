// Package sysctl sets kernel parameters from files in the format of sysctl.d(5). PID 1 and
// lkt/sysctl use it.
package sysctl

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// setting is a line of a sysctl.d(5) file: "key = value", with a minus before the key if it may
// fail. The key may be a pattern of path.Match.
type setting struct {
	location string // file:line
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
		location := fmt.Sprintf("%s:%d", path, number)
		key, value, found := strings.Cut(line, "=")
		if !found {
			return nil, fmt.Errorf("%s: expected key = value", location)
		}
		key, optional := strings.CutPrefix(strings.TrimSpace(key), "-")
		key = strings.TrimSpace(key)
		if !isValidKey(key) {
			return nil, fmt.Errorf("%s: invalid parameter name %q", location, key)
		}
		settings = append(settings, setting{location: location, key: key, value: strings.TrimSpace(value), optional: optional})
	}
	return settings, nil
}

// isValidKey reports whether the path of key stays below /proc/sys.
func isValidKey(key string) bool {
	for _, part := range strings.Split(keyPath(key), "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
		for _, c := range []byte(part) {
			if c <= ' ' || c >= 0x7f || c == '\\' {
				return false
			}
		}
	}
	_, err := filepath.Match(keyPath(key), "")
	return err == nil
}

func (s setting) isPattern() bool { return strings.ContainsAny(s.key, "*?[") }

// keyPath returns the path of a key. As in sysctl(8), the first separator decides whether dots or
// slashes separate. The other one is then part of a name: an interface may be called eth0.5.
func keyPath(key string) string {
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
	file, err := os.OpenFile(filepath.Join(root, keyPath(s.key)), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	// A single write, because the kernel takes each write as a complete value.
	if _, err := file.WriteString(s.value + "\n"); err != nil {
		return fmt.Errorf("%s = %s: %w", s.key, s.value, err)
	}
	return nil
}
