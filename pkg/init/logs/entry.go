// Package logs reads the logs of a machine: what its containers have written, a file for each.
//
// A log is NAME.log, and NAME.log.1 with what is older. Each line is a time, a blank, and what was written. Package logd
// writes them. It imports nothing but the standard library: the program that shows logs in a container uses it too.
package logs

import (
	"bytes"
	"path/filepath"
	"strings"
	"time"
)

const (
	// Dir has the logs.
	Dir = "/var/log"
	// Suffix is that of a log's newer file, OlderSuffix that of its older one.
	Suffix      = ".log"
	OlderSuffix = ".log.1"
	// LongestLine is how many bytes of a line are kept.
	LongestLine = 4096
	// timeForm has the same length for each time, so that files can be compared by eye.
	timeForm = "2006-01-02T15:04:05.000000Z"
)

// Entry is a line that somebody has written.
type Entry struct {
	Time   time.Time `json:"time"`
	Source string    `json:"source"`
	Text   string    `json:"msg"`
}

// AppendLine appends the entry as a log has it, the end of the line included.
func (e Entry) AppendLine(line []byte) []byte {
	line = e.Time.UTC().AppendFormat(line, timeForm)
	line = append(line, ' ')
	line = append(line, e.Text...)
	return append(line, '\n')
}

// ParseLine undoes AppendLine. The line has no end of line.
func ParseLine(source string, line []byte) (Entry, bool) {
	stamp, text, found := bytes.Cut(line, []byte(" "))
	if !found || len(stamp) != len(timeForm) {
		return Entry{}, false
	}
	at, err := time.Parse(timeForm, string(stamp))
	return Entry{at, source, string(text)}, err == nil
}

// Path is the file that has the newer lines of a source.
func Path(dir, source string) string { return filepath.Join(dir, source+Suffix) }

// IsName says whether a source may be called so: its name is a part of the name of a file.
func IsName(name string) bool {
	if name == "" || len(name) > 128 || name[0] == '.' {
		return false
	}
	return strings.IndexFunc(name, isOdd) < 0
}

// NameOf makes a name of what somebody calls a source.
func NameOf(text string) string {
	name := strings.Map(func(r rune) rune {
		if isOdd(r) {
			return '_'
		}
		return r
	}, text[:min(len(text), 128)])
	if name == "" || name[0] == '.' {
		name = "_" + name[min(len(name), 1):]
	}
	return name
}

func isOdd(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_' ||
		r == '@' || r == '+')
}

// Printable makes a text that cannot drive a terminal.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}
