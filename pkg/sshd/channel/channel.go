// Package channel carries messages and file descriptors between two processes, over a socket pair
// that keeps message boundaries.
package channel

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"lkt/sshd/message"
)

// maxFiles is the maximum number of descriptors in a message: a channel and a file for each user.
const maxFiles = 33

// Pair returns the file descriptors of both ends of a new channel.
func Pair() (a, b int, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return 0, 0, fmt.Errorf("socket pair: %w", err)
	}
	return fds[0], fds[1], nil
}

// Conn is one end of a channel. One goroutine may receive while others send.
type Conn struct {
	socket  *net.UnixConn
	buffer  []byte
	control []byte
	sending sync.Mutex
}

// Open returns the end with the given descriptor, and owns it from then on.
func Open(fd int) (*Conn, error) {
	file := os.NewFile(uintptr(fd), "channel")
	defer file.Close()
	socket, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("channel: %w", err)
	}
	unixSocket, ok := socket.(*net.UnixConn)
	if !ok {
		socket.Close()
		return nil, errors.New("channel: not a Unix socket")
	}
	return &Conn{socket: unixSocket, buffer: make([]byte, message.MaxSize+1), control: make([]byte, unix.CmsgSpace(4*maxFiles))}, nil
}

// Close closes the end. A pending Receive fails.
func (c *Conn) Close() { _ = c.socket.Close() }

// Send sends a message with copies of file descriptors. It blocks while the receiver's queue is
// full.
func (c *Conn) Send(m message.Message, files ...int) error {
	b, err := message.Encode(m)
	if err != nil {
		return err
	}
	var rights []byte
	if len(files) > 0 {
		rights = unix.UnixRights(files...)
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	if _, _, err := c.socket.WriteMsgUnix(b, rights, nil); err != nil {
		return fmt.Errorf("channel: %w", err)
	}
	return nil
}

// Receive waits for a message, which has exactly the number of file descriptors that expected
// returns. It returns io.EOF when the other end is closed. After another error the channel is
// unusable.
func (c *Conn) Receive(expected func(message.Message) int) (message.Message, []int, error) {
	n, controlSize, flags, _, err := c.socket.ReadMsgUnix(c.buffer, c.control)
	if err != nil {
		return nil, nil, fmt.Errorf("channel: %w", err)
	}
	files, err := parseRights(c.control[:controlSize])
	if err == nil && flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		err = message.ErrInvalid
	}
	if err == nil && n == 0 {
		err = io.EOF
	}
	var m message.Message
	if err == nil {
		m, err = message.Decode(c.buffer[:n])
	}
	want := 0
	if err == nil && expected != nil {
		want = expected(m)
	}
	if err == nil && len(files) != want {
		err = message.ErrInvalid
	}
	if err != nil {
		CloseAll(files)
		return nil, nil, err
	}
	return m, files, nil
}

func parseRights(control []byte) ([]int, error) {
	if len(control) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, message.ErrInvalid
	}
	var files []int
	for _, m := range messages {
		if fds, err := unix.ParseUnixRights(&m); err == nil {
			files = append(files, fds...)
		}
	}
	for _, fd := range files {
		unix.CloseOnExec(fd)
	}
	return files, nil
}

// CloseAll closes file descriptors.
func CloseAll(files []int) {
	for _, fd := range files {
		_ = unix.Close(fd)
	}
}
