// Package message carries the metadata that a reader found to the process that writes it. The
// reader parses foreign bytes, so that the writer validates all of it again.
package message

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"lkt/metadata/instance"
	"lkt/sandbox"
)

const (
	// maxHead limits the message without the user data: values, keys and problems.
	maxHead = 4 << 20
	// maxUserData is the most that a provider may have.
	maxUserData = 16 << 20
	maxValues   = 64
	maxProblems = 256
	maxName     = 32
	maxText     = 1024
	prefixSize  = 8
)

// ErrNone is the failure of a provider that has no metadata, without more to say.
var ErrNone = errors.New("no metadata")

// head is a message without the user data.
type head struct {
	Failure  string
	None     bool
	Provider string
	Values   map[string]string
	Keys     []string
	Problems []string
	// HasUserData distinguishes empty user data from none.
	HasUserData bool
}

// Send sends the metadata of a provider or, if err is not nil, the reason for having no metadata.
func Send(c sandbox.Conn, m *instance.Metadata, err error) error {
	var h head
	var data []byte
	if err != nil {
		h.Failure, h.None = err.Error(), errors.Is(err, ErrNone)
	} else {
		h.Provider, h.Values, h.Keys, h.HasUserData = m.Provider, m.Values, m.Keys, m.UserData != nil
		data = m.UserData
		for _, problem := range m.Problems {
			h.Problems = append(h.Problems, problem.Error())
		}
		h.Problems = h.Problems[:min(len(h.Problems), maxProblems)]
	}
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if err := c.Send(prefix(len(text), len(data))); err != nil {
		return err
	}
	for _, part := range [][]byte{text, data} {
		for ; len(part) > 0; part = part[min(len(part), sandbox.MaxMessage):] {
			if err := c.Send(part[:min(len(part), sandbox.MaxMessage)]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Receive returns the metadata of a provider, or the reason for having no metadata.
func Receive(c sandbox.Conn) (*instance.Metadata, error) {
	buffer := make([]byte, sandbox.MaxMessage)
	first, err := c.Receive(buffer)
	if err != nil {
		return nil, err
	}
	headSize, dataSize, err := sizes(first)
	if err != nil {
		return nil, err
	}
	all := make([]byte, 0, headSize+dataSize)
	for len(all) < headSize+dataSize {
		part, err := c.Receive(buffer)
		if err != nil {
			return nil, err
		}
		if len(all)+len(part) > headSize+dataSize {
			return nil, errMalformed
		}
		all = append(all, part...)
	}
	return decode(all[:headSize], all[headSize:])
}

var errMalformed = errors.New("malformed message of the reader")

func prefix(head, data int) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(head))
	return binary.BigEndian.AppendUint32(b, uint32(data))
}

func sizes(b []byte) (head, data int, err error) {
	if len(b) != prefixSize {
		return 0, 0, errMalformed
	}
	head, data = int(binary.BigEndian.Uint32(b)), int(binary.BigEndian.Uint32(b[4:]))
	if head > maxHead || data > maxUserData {
		return 0, 0, errMalformed
	}
	return head, data, nil
}

// decode validates a message.
func decode(text, data []byte) (*instance.Metadata, error) {
	var h head
	if err := json.Unmarshal(text, &h); err != nil {
		return nil, errMalformed
	}
	if h.None {
		return nil, ErrNone
	}
	if h.Failure != "" {
		return nil, errors.New(clean(h.Failure))
	}
	if len(h.Values) > maxValues || len(h.Problems) > maxProblems || len(data) > 0 && !h.HasUserData {
		return nil, errMalformed
	}
	m := instance.New(clean(h.Provider))
	for name, value := range h.Values {
		if !isName(name) {
			return nil, errMalformed
		}
		m.Set(name, value)
	}
	m.AddKeys(strings.Join(h.Keys, "\n"))
	for _, problem := range h.Problems {
		m.Problem(errors.New(clean(problem)))
	}
	if h.HasUserData {
		m.UserData = data
	}
	return m, nil
}

// isName reports whether a value may have this file name. It is not one of the other files.
func isName(name string) bool {
	if name == "" || len(name) > maxName || name == "provider" || name == "userdata" || name == "ssh" {
		return false
	}
	for _, c := range []byte(name) {
		if c != '_' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// clean returns text for a log: short, without control characters other than line ends.
func clean(text string) string {
	text = strings.Map(func(c rune) rune {
		if c < ' ' && c != '\n' || c >= 0x7f && c < 0xa0 {
			return '?'
		}
		return c
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > maxText {
		text = fmt.Sprintf("%s…", strings.ToValidUTF8(text[:maxText], ""))
	}
	return text
}
