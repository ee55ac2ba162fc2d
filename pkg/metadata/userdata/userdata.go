// Package userdata reads user data of LinuxKit's form: JSON that says which files there are to be.
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

// ErrOther: it is of some other form, and for some other program.
var ErrOther = errors.New("user data is not JSON of LinuxKit's form")

// Entry is a file or a directory.
type Entry struct {
	Name string
	Mode fs.FileMode
	// Content is of a file.
	Content []byte
	// Directory says that it is one; Entries are in it.
	Directory bool
	Entries   []Entry
}

// Parse checks all of it before anything is written. Every name is that of an entry of its directory, no mode is more than permissions.
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

// entries reads what is in an object that has been begun.
func (p *parser) entries(depth int) ([]Entry, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("directories in more than %d directories", maxDepth)
	}
	var entries []Entry
	seen := map[string]bool{}
	err := p.members(func(name string) error {
		if err := checkName(name); err != nil {
			return err
		}
		if seen[name] {
			return fmt.Errorf("%q is there twice", name)
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
				return errors.New("has two contents")
			}
			file = true
			var content string
			err := p.text(&content)
			entry.Content = []byte(content)
			return err
		case "entries":
			if entry.Directory {
				return errors.New("has two lists of entries")
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
		return Entry{}, errors.New("has both content and entries")
	case !file && !entry.Directory:
		return Entry{}, fmt.Errorf("%w: neither content nor entries", ErrOther)
	}
	entry.Mode, err = modeOf(perm, entry.Directory)
	return entry, err
}

// ignored takes any value and keeps nothing.
type ignored struct{}

func (*ignored) UnmarshalJSON([]byte) error { return nil }

// members calls each for every member of an object that has been begun; each reads the value.
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
		return fmt.Errorf("%w: an object is missing", ErrOther)
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
		return fmt.Errorf("%w: a text is missing", ErrOther)
	}
	*into = text
	return nil
}

func checkName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return fmt.Errorf("%q is no name of a file", name)
	case len(name) > maxName:
		return fmt.Errorf("%.40q… is too long for a name", name)
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r == '/' || r == '\\' || r < ' ' || r == 0x7f || r == '\ufffd' }) {
		return fmt.Errorf("%q is no name of a file", name)
	}
	return nil
}

func modeOf(perm string, directory bool) (fs.FileMode, error) {
	switch {
	case perm == "" && directory:
		return 0o755, nil
	case perm == "":
		return 0o644, nil
	}
	bits, err := strconv.ParseUint(perm, 8, 32)
	if err != nil || bits > 0o777 {
		return 0, fmt.Errorf("perm %.20q is none from 0 to 0777", perm)
	}
	return fs.FileMode(bits), nil
}
