// Package channel carries messages between the three processes, over a socket pair that keeps
// message boundaries.
package channel

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// MaxSize is the maximum size of a message in bytes. A link-layer frame has at most 2048.
const MaxSize = 4096

// Conn is the file descriptor of one end of a channel.
type Conn int

// Pair returns both ends of a new channel.
func Pair() (a, b Conn, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, fmt.Errorf("socket pair: %w", err)
	}
	return Conn(fds[0]), Conn(fds[1]), nil
}

// ErrClosed means that the process at the other end has exited.
var ErrClosed = errors.New("the other process ended")

// Send sends a message. It blocks while the receiver's queue is full.
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

// Receive waits for a message and reads it into buffer, which must have MaxSize bytes. The result
// is valid until the next call with the same buffer.
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
