// Package userdata parses user data in LinuxKit's format, JSON that describes files:
//
//	{"ssh": {"entries": {"sshd_config": {"perm": "0600", "content": "…"}}}}
package userdata

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

const (
	maxEntries = 4096
	maxDepth   = 16
	maxName    = 255
)

// ErrOther means that the user data has another format, for another program.
var ErrOther = errors.New("user data is not in LinuxKit's JSON format")

// Entry is a file or a directory.
type Entry struct {
	Name string
	Mode fs.FileMode
	// Content is the content of a file.
	Content []byte
	// Directory means that this is a directory; Entries are its content.
	Directory bool
	Entries   []Entry
}

// Parse validates everything before returning: all names are single path components, and modes
// contain permission bits only.
func Parse(data []byte) ([]Entry, error) {
	if !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) || !json.Valid(data) {
		return nil, ErrOther
	}
	p := parser{decoder: json.NewDecoder(bytes.NewReader(data))}
	if _, err := p.decoder.Token(); err != nil {
		return nil, err
	}
	return p.entries(1)
}

type parser struct {
	decoder *json.Decoder
	count   int
}

// entries parses the members of an object whose opening brace was read.
func (p *parser) entries(depth int) ([]Entry, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("more than %d nested directories", maxDepth)
	}
	var entries []Entry
	seen := map[string]bool{}
	err := p.members(func(name string) error {
		if err := checkName(name); err != nil {
			return err
		}
		if seen[name] {
			return fmt.Errorf("duplicate name %q", name)
		}
		seen[name] = true
		if p.count++; p.count > maxEntries {
			return fmt.Errorf("more than %d files and directories", maxEntries)
		}
		entry, err := p.entry(depth)
		if err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
		entry.Name = name
		entries = append(entries, entry)
		return nil
	})
	return entries, err
}

func (p *parser) entry(depth int) (Entry, error) {
	if err := p.begin(); err != nil {
		return Entry{}, err
	}
	var entry Entry
	var perm string
	file := false
	err := p.members(func(field string) error {
		switch field {
		case "perm":
			return p.text(&perm)
		case "content":
			if file {
				return errors.New("duplicate content")
			}
			file = true
			var content string
			err := p.text(&content)
			entry.Content = []byte(content)
			return err
		case "entries":
			if entry.Directory {
				return errors.New("duplicate entries")
			}
			entry.Directory = true
			if err := p.begin(); err != nil {
				return err
			}
			var err error
			entry.Entries, err = p.entries(depth + 1)
			return err
		}
		return p.decoder.Decode(&ignored{})
	})
	if err != nil {
		return Entry{}, err
	}
	switch {
	case file && entry.Directory:
		return Entry{}, errors.New("both content and entries")
	case !file && !entry.Directory:
		return Entry{}, fmt.Errorf("%w: neither content nor entries", ErrOther)
	}
	entry.Mode, err = parseMode(perm, entry.Directory)
	return entry, err
}

// ignored accepts any JSON value and discards it.
type ignored struct{}

func (*ignored) UnmarshalJSON([]byte) error { return nil }

// members calls each for every member of an object whose opening brace was read; each must read the
// value.
func (p *parser) members(each func(name string) error) error {
	for p.decoder.More() {
		token, err := p.decoder.Token()
		if err != nil {
			return err
		}
		name, isText := token.(string)
		if !isText {
			return ErrOther
		}
		if err := each(name); err != nil {
			return err
		}
	}
	_, err := p.decoder.Token()
	return err
}

func (p *parser) begin() error {
	token, err := p.decoder.Token()
	if err != nil {
		return err
	}
	if token != json.Delim('{') {
		return fmt.Errorf("%w: expected an object", ErrOther)
	}
	return nil
}

func (p *parser) text(into *string) error {
	token, err := p.decoder.Token()
	if err != nil {
		return err
	}
	text, isText := token.(string)
	if !isText {
		return fmt.Errorf("%w: expected a string", ErrOther)
	}
	*into = text
	return nil
}

func checkName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return fmt.Errorf("invalid file name %q", name)
	case len(name) > maxName:
		return fmt.Errorf("file name %.40q… is too long", name)
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r == '/' || r == '\\' || r < ' ' || r == 0x7f || r == '\ufffd' }) {
		return fmt.Errorf("invalid file name %q", name)
	}
	return nil
}

func parseMode(perm string, directory bool) (fs.FileMode, error) {
	switch {
	case perm == "" && directory:
		return 0o755, nil
	case perm == "":
		return 0o644, nil
	}
	bits, err := strconv.ParseUint(perm, 8, 32)
	if err != nil || bits > 0o777 {
		return 0, fmt.Errorf("perm %.20q must be from 0 to 0777", perm)
	}
	return fs.FileMode(bits), nil
}
