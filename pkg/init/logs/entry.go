// Package logs reads the logs of a machine: the output of its containers, a file for each.
//
// A log is NAME.log, with older lines in NAME.log.1. Each line is a time, a space and the text.
// Package logd writes the logs. This package imports only the standard library, because the program
// that shows logs in a container uses it too.
package logs

import (
	"bytes"
	"path/filepath"
	"strings"
	"time"
)

const (
	// Dir is the directory of the logs.
	Dir = "/var/log"
	// Suffix is the suffix of a log's newer file, OlderSuffix that of its older one.
	Suffix      = ".log"
	OlderSuffix = ".log.1"
	// MaxLineLength is how many bytes of a line are stored.
	MaxLineLength = 4096
	// timeFormat has a fixed length, so that lines align.
	timeFormat = "2006-01-02T15:04:05.000000Z"
)

// Entry is a line of a log.
type Entry struct {
	Time   time.Time `json:"time"`
	Source string    `json:"source"`
	Text   string    `json:"msg"`
}

// AppendLine appends the entry in the format of a log file, with a line feed.
func (e Entry) AppendLine(line []byte) []byte {
	line = e.Time.UTC().AppendFormat(line, timeFormat)
	line = append(line, ' ')
	line = append(line, e.Text...)
	return append(line, '\n')
}

// ParseLine parses a line without its line feed. It is the inverse of AppendLine: it rejects other
// forms of a time that [time.Parse] accepts, such as a comma for the point.
func ParseLine(source string, line []byte) (Entry, bool) {
	stamp, text, found := bytes.Cut(line, []byte(" "))
	if !found || len(stamp) != len(timeFormat) {
		return Entry{}, false
	}
	at, err := time.Parse(timeFormat, string(stamp))
	if err != nil || string(at.AppendFormat(nil, timeFormat)) != string(stamp) {
		return Entry{}, false
	}
	return Entry{at, source, string(text)}, true
}

// Path returns the path of a source's newer file.
func Path(dir, source string) string { return filepath.Join(dir, source+Suffix) }

// IsName reports whether name is a valid source name, which is part of a file name.
func IsName(name string) bool {
	if name == "" || len(name) > 128 || name[0] == '.' {
		return false
	}
	return strings.IndexFunc(name, isInvalidRune) < 0
}

// SanitizeName turns any text into a valid source name.
func SanitizeName(text string) string {
	name := strings.Map(func(r rune) rune {
		if isInvalidRune(r) {
			return '_'
		}
		return r
	}, text[:min(len(text), 128)])
	if name == "" || name[0] == '.' {
		name = "_" + name[min(len(name), 1):]
	}
	return name
}

func isInvalidRune(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_' ||
		r == '@' || r == '+')
}

// Printable replaces control characters, so that a text cannot control a terminal.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}
