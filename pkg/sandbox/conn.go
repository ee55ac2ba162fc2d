package sandbox

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// MaxMessage is the maximum size of a message in bytes.
const MaxMessage = 4096

// Conn is the file descriptor of one end of a connection between two processes, which keeps message
// boundaries. A receiver trusts no message: the other process reads foreign bytes.
type Conn int

// NewPair returns both ends of a new connection.
func NewPair() (a, b Conn, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, fmt.Errorf("socket pair: %w", err)
	}
	return Conn(fds[0]), Conn(fds[1]), nil
}

// ErrClosed means that the process at the other end has exited.
var ErrClosed = errors.New("the other process ended")

// Send sends a message of 1 to MaxMessage bytes. It blocks while the receiver's queue is full.
func (c Conn) Send(message []byte) error {
	if len(message) == 0 || len(message) > MaxMessage {
		return fmt.Errorf("message of %d bytes", len(message))
	}
	for {
		_, err := unix.Write(int(c), message)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET):
			return ErrClosed
		case !errors.Is(err, unix.EINTR):
			return fmt.Errorf("message: %w", err)
		}
	}
}

// Receive waits for a message and reads it into buffer, which must have MaxMessage bytes. The
// result is valid until the next call with the same buffer.
func (c Conn) Receive(buffer []byte) ([]byte, error) {
	for {
		n, err := unix.Read(int(c), buffer)
		switch {
		case err == nil && n > 0:
			return buffer[:n], nil
		case err == nil, errors.Is(err, unix.ECONNRESET):
			return nil, ErrClosed
		case !errors.Is(err, unix.EINTR):
			return nil, fmt.Errorf("message: %w", err)
		}
	}
}
