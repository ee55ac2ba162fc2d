package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"time"

	"lkt/shutdown"
)

const (
	// maxRequest is the size of the largest request. Longer ones are skipped.
	maxRequest = 64 << 10
	// idleDelay is the pause when no program of the host has the port open.
	idleDelay = 200 * time.Millisecond
	// delimiter precedes the answer to guest-sync-delimited, and may precede requests.
	delimiter = 0xff
)

// agent answers requests.
type agent struct {
	power func(shutdown.Mode) error
}

// failure is an error for the host.
type failure struct {
	Class string `json:"class"`
	Text  string `json:"desc"`
}

func (f *failure) Error() string { return f.Text }

// serve answers the requests in port. The end of the port only means that the host has closed it.
func (a *agent) serve(port io.ReadWriter) error {
	var line []byte
	isTooLong := false
	chunk := make([]byte, 4096)
	for {
		n, err := port.Read(chunk)
		for _, b := range chunk[:n] {
			switch {
			case b == delimiter:
				line, isTooLong = line[:0], false
			case b != '\n':
				if isTooLong = isTooLong || len(line) == maxRequest; !isTooLong {
					line = append(line, b)
				}
			default:
				if err := a.respond(port, line, isTooLong); err != nil {
					return err
				}
				line, isTooLong = line[:0], false
			}
		}
		switch {
		case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.EAGAIN) && !os.IsTimeout(err):
			return err
		case n == 0:
			time.Sleep(idleDelay)
		}
	}
}

// respond writes the answer to one line, if it has one.
func (a *agent) respond(port io.Writer, line []byte, isTooLong bool) error {
	line = bytes.TrimSpace(line)
	if len(line) == 0 && !isTooLong {
		return nil
	}
	answer := a.answer(line, isTooLong)
	if answer == nil {
		return nil
	}
	_, err := port.Write(answer)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EPIPE) {
		return nil // the host does not read: it has lost interest
	}
	return err
}

// answer returns the line with the answer to a request, or nil if the request has none.
func (a *agent) answer(line []byte, isTooLong bool) []byte {
	var request struct {
		Execute   string                     `json:"execute"`
		Arguments map[string]json.RawMessage `json:"arguments"`
	}
	var result any
	err := error(&failure{"GenericError", "the request is too long"})
	if !isTooLong {
		err = json.Unmarshal(line, &request)
	}
	var c command
	if err == nil {
		var found bool
		if c, found = commands[request.Execute]; !found {
			err = &failure{"CommandNotFound", fmt.Sprintf("The command %.80s has not been found", request.Execute)}
		} else {
			result, err = c.do(a, request.Arguments)
		}
	}
	answer := map[string]any{"return": result}
	var known *failure
	switch {
	case errors.As(err, &known):
		answer = map[string]any{"error": known}
	case err != nil:
		answer = map[string]any{"error": failure{"GenericError", err.Error()}}
	case c.isSilent:
		return nil
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return nil
	}
	text = append(text, '\n')
	if c.isDelimited {
		text = slices.Insert(text, 0, byte(delimiter))
	}
	return text
}
