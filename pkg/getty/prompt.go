package main

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"lkt/sandbox"
)

// Descriptors of the prompt: the console, and the connection with the process password.
const (
	console     = 3
	passwordEnd = sandbox.Conn(4)
)

// maxAttempts is the number of wrong passwords after which the monitor starts another prompt.
const maxAttempts = 5

var errHangup = errors.New("hangup")

// runPrompt asks for a name and a password until the process password says that they are right.
func runPrompt(s setup) error {
	if err := makeSane(true); err != nil {
		return err
	}
	if err := print(s.Issue); err != nil {
		return err
	}
	for range maxAttempts {
		name, err := ask(fmt.Sprintf("\n%s login: ", s.Host), true)
		if err != nil {
			return ignoreHangup(err)
		}
		if name == "" {
			continue
		}
		password, err := ask("Password: ", false)
		if err != nil {
			return ignoreHangup(err)
		}
		if err := passwordEnd.Send(attempt{name, password}.encode()); err != nil {
			return err
		}
		var answer [sandbox.MaxMessage]byte
		raw, err := passwordEnd.Receive(answer[:])
		if err != nil {
			return err
		}
		if len(raw) == 1 && raw[0] == answerYes {
			return makeSane(true)
		}
		// Nothing that was typed meanwhile is a name.
		_ = unix.IoctlSetInt(console, unix.TCFLSH, unix.TCIFLUSH)
		if err := print("Login incorrect\n"); err != nil {
			return err
		}
	}
	return nil
}

func ignoreHangup(err error) error {
	if errors.Is(err, errHangup) {
		return nil
	}
	return err
}

func print(text string) error {
	_, err := unix.Write(console, []byte(text))
	return err
}

// ask prints a question and reads a line, with or without echo.
func ask(question string, echo bool) (string, error) {
	if err := makeSane(echo); err != nil {
		return "", err
	}
	if err := print(question); err != nil {
		return "", err
	}
	line, err := readLine(func(b []byte) (int, error) { return unix.Read(console, b) })
	if !echo {
		err = errors.Join(err, print("\n"))
	}
	return line, err
}

// readLine reads a line of at most maxWord bytes. The rest of a longer one is left out.
func readLine(read func([]byte) (int, error)) (string, error) {
	var line []byte
	for {
		var b [1]byte
		n, err := read(b[:])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case n == 0 || errors.Is(err, unix.EIO):
			return "", errHangup
		case err != nil:
			return "", err
		case b[0] == '\n' || b[0] == '\r':
			return string(line), nil
		case b[0] == 0:
			return "", io.ErrUnexpectedEOF
		case len(line) < maxWord:
			line = append(line, b[0])
		}
	}
}

// makeSane sets the modes of the console, which a program may have left in any state. The speed
// stays.
func makeSane(echo bool) error {
	t, err := unix.IoctlGetTermios(console, unix.TCGETS)
	if err != nil {
		return fmt.Errorf("modes of the console: %w", err)
	}
	t.Iflag = unix.ICRNL | unix.IXON
	t.Oflag = unix.OPOST | unix.ONLCR
	t.Lflag = unix.ISIG | unix.ICANON | unix.IEXTEN | unix.ECHOE | unix.ECHOK
	if echo {
		t.Lflag |= unix.ECHO
	}
	for key, value := range map[int]uint8{
		unix.VINTR: 3, unix.VQUIT: 28, unix.VERASE: 127, unix.VKILL: 21, unix.VEOF: 4, unix.VMIN: 1, unix.VTIME: 0,
		unix.VSTART: 17, unix.VSTOP: 19, unix.VSUSP: 26, unix.VREPRINT: 18, unix.VWERASE: 23, unix.VLNEXT: 22,
	} {
		t.Cc[key] = value
	}
	if err := unix.IoctlSetTermios(console, unix.TCSETS, t); err != nil {
		return fmt.Errorf("modes of the console: %w", err)
	}
	return nil
}
