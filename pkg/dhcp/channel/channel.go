// Package channel is how the three processes speak: messages over a socket pair that keeps their bounds.
package channel

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// MaxSize bounds a message. A frame of the link has 2048 bytes at most.
const MaxSize = 4096

// Conn is one end of a channel.
type Conn int

// Pair makes the two ends.
func Pair() (a, b Conn, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, fmt.Errorf("socket pair: %w", err)
	}
	return Conn(fds[0]), Conn(fds[1]), nil
}

// ErrClosed says that the process at the other end has ended.
var ErrClosed = errors.New("the other process ended")

// Send waits until the message has its place in the queue of the other end.
func (c Conn) Send(message []byte) error {
	for {
		_, err := unix.Write(int(c), message)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET):
			return ErrClosed
		case !errors.Is(err, unix.EINTR):
			return fmt.Errorf("channel: %w", err)
		}
	}
}

// Receive waits for a message. It is valid until the next one is read into the same buffer of MaxSize bytes.
func (c Conn) Receive(buffer []byte) ([]byte, error) {
	for {
		n, err := unix.Read(int(c), buffer)
		switch {
		case err == nil && n > 0:
			return buffer[:n], nil
		case err == nil, errors.Is(err, unix.ECONNRESET):
			return nil, ErrClosed
		case !errors.Is(err, unix.EINTR):
			return nil, fmt.Errorf("channel: %w", err)
		}
	}
}
