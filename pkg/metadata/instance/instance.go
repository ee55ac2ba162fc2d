// Package instance holds the metadata of this machine. Providers are untrusted, so it validates all
// values.
package instance

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
	maxProblems = 64
)

// Metadata is the metadata of one provider.
type Metadata struct {
	// Provider is the content of the file "provider".
	Provider string
	// Values are single-line files by name.
	Values map[string]string
	// Keys are lines of authorized_keys.
	Keys []string
	// UserData is the unparsed user data, or nil.
	UserData []byte
	// Problems are the reasons for skipped values.
	Problems []error
}

// New returns empty metadata of a provider.
func New(provider string) *Metadata {
	return &Metadata{Provider: provider, Values: map[string]string{}}
}

// Set sets a value. The name is a file name chosen by this program. It records a problem if the
// value is invalid.
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

// AddKeys adds lines of authorized_keys. It skips empty lines and comments.
func (m *Metadata) AddKeys(text string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case len(line) > maxKeyLine || !printable(line):
			m.Problem(errors.New("ssh keys: a line is too long or contains control characters"))
		case len(m.Keys) == maxKeys:
			m.Problem(fmt.Errorf("ssh keys: more than %d", maxKeys))
			return
		default:
			m.Keys = append(m.Keys, line)
		}
	}
}

// Problem records why a value was skipped, for the first ones.
func (m *Metadata) Problem(err error) {
	if len(m.Problems) < maxProblems {
		m.Problems = append(m.Problems, err)
	}
}

func checkValue(value string) error {
	switch {
	case value == "":
		return errors.New("empty")
	case len(value) > maxValue:
		return fmt.Errorf("longer than %d bytes", maxValue)
	case !printable(value):
		return errors.New("not a single line of text")
	}
	return nil
}

// checkHostname returns an error unless name is a host name (RFC 1123 section 2.1) that Linux
// accepts.
func checkHostname(name string) error {
	if len(name) > maxHostname {
		return fmt.Errorf("longer than %d bytes", maxHostname)
	}
	for _, label := range strings.Split(name, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return fmt.Errorf("invalid host name %.80q", name)
		}
		for _, c := range []byte(label) {
			if !(c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') {
				return fmt.Errorf("invalid host name %.80q", name)
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
