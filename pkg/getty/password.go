package main

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"lkt/getty/crypt"
	"lkt/sandbox"
)

const (
	// wrongDelay is the time after a wrong password.
	wrongDelay = 3 * time.Second
	// maxWord limits names and passwords.
	maxWord = 256
	// unknown is the hash of no user: an unknown name takes as long as a known one.
	unknown = "$6$lkt$0000000000000000000000000000000000000000000000000000000000000000000000000000000000000."

	answerYes = 1
	answerNo  = 2
)

// attempt is the message of a prompt: a name and a password.
type attempt struct{ name, password string }

func (a attempt) encode() []byte { return []byte(a.name + "\x00" + a.password) }

// decodeAttempt parses an attempt. The process that sends it reads the console, so it may have any
// content.
func decodeAttempt(b []byte) (attempt, error) {
	name, password, found := bytes.Cut(b, []byte{0})
	if !found || len(name) > maxWord || len(password) > maxWord || bytes.IndexByte(password, 0) >= 0 {
		return attempt{}, errors.New("malformed attempt")
	}
	return attempt{string(name), string(password)}, nil
}

// verifies reports whether a user has the password.
func verifies(hashes map[string]string, a attempt) bool {
	field, known := hashes[a.name]
	if !known {
		field = unknown
	}
	h, err := crypt.Parse(field)
	return err == nil && h.Matches(a.password) && known
}

// Descriptors of the process password: connections with the prompt and with the monitor.
const (
	promptEnd  sandbox.Conn = 3
	monitorEnd sandbox.Conn = 4
)

// runPassword answers the attempts of a prompt, and tells the monitor the user of the right one.
func runPassword(s setup) error {
	buffer := make([]byte, sandbox.MaxMessage)
	for {
		raw, err := promptEnd.Receive(buffer)
		if errors.Is(err, sandbox.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		a, err := decodeAttempt(raw)
		if err != nil {
			return err
		}
		if verifies(s.Hashes, a) {
			// Before the answer, at which the prompt ends.
			return errors.Join(monitorEnd.Send([]byte(a.name)), promptEnd.Send([]byte{answerYes}))
		}
		// Someone may have typed the password as the name.
		name := "an unknown user"
		if _, known := s.Hashes[a.name]; known {
			name = a.name
		}
		fmt.Printf("getty: wrong password of %s on %s\n", name, s.Console)
		time.Sleep(wrongDelay)
		if err := promptEnd.Send([]byte{answerNo}); err != nil {
			return nil
		}
	}
}
