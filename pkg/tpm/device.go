package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

const (
	// maxAnswer is the size of the largest answer in bytes (TPM2_MAX_RESPONSE_SIZE).
	maxAnswer = 4096
	// headerSize is the size of tag, size and code (TPM 2.0 Part 1, section 18).
	headerSize = 10
)

// device is the descriptor of a TPM: of the kernel's device, which returns an answer with one read,
// or of a socket.
type device int

// Send sends a command and returns its answer.
func (d device) Send(command []byte) ([]byte, error) {
	if err := d.write(command); err != nil {
		return nil, fmt.Errorf("TPM: %w", err)
	}
	answer := make([]byte, 0, maxAnswer)
	size := headerSize
	for len(answer) < size {
		n, err := unix.Read(int(d), answer[len(answer):maxAnswer])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil && n == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, fmt.Errorf("TPM: %w", err)
		}
		if answer = answer[:len(answer)+n]; len(answer) < headerSize {
			continue
		}
		announced := binary.BigEndian.Uint32(answer[2:])
		if announced < headerSize || announced > maxAnswer || len(answer) > int(announced) {
			return nil, fmt.Errorf("TPM: answer of %d bytes", announced)
		}
		size = int(announced)
	}
	return answer, nil
}

func (d device) write(command []byte) error {
	for len(command) > 0 {
		n, err := unix.Write(int(d), command)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		command = command[n:]
	}
	return nil
}
