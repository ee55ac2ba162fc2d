// Package found is what a provider tells of this machine, as far as it can be right: all of it is the word of a stranger.
package found

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	maxHostname = 64 // HOST_NAME_MAX of Linux
	maxValue    = 1024
	maxKeys     = 64
	maxKeyLine  = 16384
)

// Metadata is what a provider tells.
type Metadata struct {
	// Provider is written to the file "provider".
	Provider string
	// Values are files of one line, by name.
	Values map[string]string
	// Keys are lines of authorized_keys.
	Keys []string
	// UserData is as it came; nil when there is none.
	UserData []byte
	// Problems are what was left out, and why.
	Problems []error
}

// New is of a provider that has told nothing yet.
func New(provider string) *Metadata {
	return &Metadata{Provider: provider, Values: map[string]string{}}
}

// Set takes a value for a file that is named by this program. One that cannot be right is a problem.
func (m *Metadata) Set(name, value string) {
	value = strings.TrimSpace(value)
	check := checkValue
	if name == "hostname" {
		check = checkHostname
	}
	if err := check(value); err != nil {
		m.Problem(fmt.Errorf("%s: %w", name, err))
		return
	}
	m.Values[name] = value
}

// AddKeys takes lines of authorized_keys. Empty ones and comments are left out.
func (m *Metadata) AddKeys(text string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case len(line) > maxKeyLine || !printable(line):
			m.Problem(errors.New("ssh keys: a line is too long or has control characters"))
		case len(m.Keys) == maxKeys:
			m.Problem(fmt.Errorf("ssh keys: more than %d", maxKeys))
			return
		default:
			m.Keys = append(m.Keys, line)
		}
	}
}

// Problem remembers what was left out.
func (m *Metadata) Problem(err error) { m.Problems = append(m.Problems, err) }

func checkValue(value string) error {
	switch {
	case value == "":
		return errors.New("is empty")
	case len(value) > maxValue:
		return fmt.Errorf("has more than %d bytes", maxValue)
	case !printable(value):
		return errors.New("is not one line of text")
	}
	return nil
}

// checkHostname: RFC 1123, 2.1, and that Linux can have it.
func checkHostname(name string) error {
	if len(name) > maxHostname {
		return fmt.Errorf("has more than %d bytes", maxHostname)
	}
	for _, label := range strings.Split(name, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return fmt.Errorf("%.80q is no host name", name)
		}
		for _, c := range []byte(label) {
			if !(c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') {
				return fmt.Errorf("%.80q is no host name", name)
			}
		}
	}
	return nil
}

func printable(text string) bool {
	if !utf8.ValidString(text) {
		return false
	}
	for _, r := range text {
		if r < ' ' && r != '\t' || 0x7f <= r && r < 0xa0 || r == 0x2028 || r == 0x2029 {
			return false
		}
	}
	return true
}
