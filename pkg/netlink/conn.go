// Package netlink sends requests to the kernel over netlink(7), and receives its acknowledgements
// and answers.
package netlink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
)

// Request flags.
const (
	Create  = syscall.NLM_F_CREATE
	Excl    = syscall.NLM_F_EXCL
	Replace = syscall.NLM_F_REPLACE
	Append  = syscall.NLM_F_APPEND
)

const (
	solNetlink = 270
	capAck     = 10
	extAck     = 11
	// An acknowledgement without the request's payload, followed by attributes.
	ackHasAttributes = 0x200
	ackMessage       = 1
	// maxRequest keeps the 16-bit lengths of attributes valid.
	maxRequest = 60_000
	// bufferSize is the size of the receive buffer.
	bufferSize = 1 << 20
)

// Error is the kernel's error for a request.
type Error struct {
	Errno syscall.Errno
	// Detail is the kernel's extended error message, or empty.
	Detail string
}

func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Errno.Error()
	}
	return fmt.Sprintf("%v: %s", e.Errno, e.Detail)
}

func (e *Error) Unwrap() error { return e.Errno }

// Message is an answer.
type Message struct {
	Kind uint16
	Data []byte
}

// Conn is a netlink socket. It handles one request at a time.
type Conn struct {
	fd       int
	sequence uint32
	buffer   []byte
}

// Dial opens a socket of a family: NETLINK_ROUTE or NETLINK_GENERIC.
func Dial(family int) (*Conn, error) {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, family)
	if err != nil {
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	// Optional: without them, errors have no message.
	_ = syscall.SetsockoptInt(fd, solNetlink, capAck, 1)
	_ = syscall.SetsockoptInt(fd, solNetlink, extAck, 1)
	if err := syscall.Bind(fd, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		syscall.Close(fd)
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	return &Conn{fd: fd, buffer: make([]byte, bufferSize)}, nil
}

// Close closes the socket.
func (c *Conn) Close() { syscall.Close(c.fd) }

// Do sends a request and waits for its acknowledgement. It returns *Error if the kernel rejects the
// request.
func (c *Conn) Do(kind, flags uint16, body Body) error {
	_, err := c.exchange(kind, flags|syscall.NLM_F_ACK, body)
	return err
}

// Ask sends a request and returns the answers.
func (c *Conn) Ask(kind uint16, body Body) ([]Message, error) {
	return c.exchange(kind, syscall.NLM_F_ACK, body)
}

// List sends a dump request and returns the answers.
func (c *Conn) List(kind uint16, body Body) ([]Message, error) {
	return c.exchange(kind, syscall.NLM_F_DUMP, body)
}

func (c *Conn) exchange(kind, flags uint16, body Body) ([]Message, error) {
	if len(body) > maxRequest {
		return nil, fmt.Errorf("netlink request of %d bytes is too long", len(body))
	}
	c.sequence++
	request := binary.NativeEndian.AppendUint32(nil, uint32(syscall.SizeofNlMsghdr+len(body)))
	request = binary.NativeEndian.AppendUint16(request, kind)
	request = binary.NativeEndian.AppendUint16(request, flags|syscall.NLM_F_REQUEST)
	request = binary.NativeEndian.AppendUint32(request, c.sequence)
	request = append(request, 0, 0, 0, 0)
	request = append(request, body...)
	if err := syscall.Sendto(c.fd, request, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return nil, err
	}
	var all []Message
	for {
		n, _, err := syscall.Recvfrom(c.fd, c.buffer, 0)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		messages, done, err := parse(c.buffer[:n], c.sequence)
		all = append(all, messages...)
		if err != nil || done {
			return all, err
		}
	}
}

// parse parses a datagram from the kernel. done means the end of a dump, or an acknowledgement.
func parse(data []byte, sequence uint32) (all []Message, done bool, err error) {
	for len(data) >= syscall.SizeofNlMsghdr {
		length := int(binary.NativeEndian.Uint32(data))
		if length < syscall.SizeofNlMsghdr || length > len(data) {
			return nil, false, ErrMalformed
		}
		kind := binary.NativeEndian.Uint16(data[4:])
		flags := binary.NativeEndian.Uint16(data[6:])
		mine := binary.NativeEndian.Uint32(data[8:]) == sequence
		payload := data[syscall.SizeofNlMsghdr:length]
		data = data[min(aligned(length), len(data)):]
		switch {
		case !mine:
		case kind == syscall.NLMSG_ERROR, kind == syscall.NLMSG_DONE:
			return all, true, ackError(payload, flags)
		default:
			all = append(all, Message{kind, append([]byte(nil), payload...)})
		}
	}
	return all, false, nil
}

// ackError parses an acknowledgement or the end of a dump: 0 or a negated errno, then (in an
// acknowledgement) the header of the request and attributes.
func ackError(payload []byte, flags uint16) error {
	if len(payload) < 4 {
		return nil
	}
	number := int32(binary.NativeEndian.Uint32(payload))
	if number >= 0 {
		return nil
	}
	kernelError := &Error{Errno: syscall.Errno(-number)}
	const head = 4 + syscall.SizeofNlMsghdr
	if flags&ackHasAttributes != 0 && len(payload) > head {
		attributes, _ := Parse(payload[head:])
		for _, a := range attributes {
			if a.Kind == ackMessage {
				kernelError.Detail = a.Text()
			}
		}
	}
	return kernelError
}
