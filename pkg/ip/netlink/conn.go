// Package netlink asks the kernel by netlink(7): requests that it confirms, and requests that it answers.
package netlink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
)

// Flags of requests.
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
	// What a confirmation has: the request is cut to its header; attributes follow.
	ackHasAttributes = 0x200
	ackMessage       = 1
	// most is what a request may have, so that the length of an attribute, which has 16 bits, is enough.
	most = 60_000
	// answers is what the kernel may say at once.
	answers = 1 << 20
)

// Error is the kernel's answer to a request that it refuses.
type Error struct {
	Errno syscall.Errno
	// Detail is what the kernel says beside, or empty.
	Detail string
}

func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Errno.Error()
	}
	return fmt.Sprintf("%v: %s", e.Errno, e.Detail)
}

func (e *Error) Unwrap() error { return e.Errno }

// Message is one answer.
type Message struct {
	Kind uint16
	Data []byte
}

// Conn is a socket of one family of netlink. One request is made at a time.
type Conn struct {
	fd       int
	sequence uint32
	buffer   []byte
}

// Dial opens a socket of a family: NETLINK_ROUTE, NETLINK_GENERIC.
func Dial(family int) (*Conn, error) {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, family)
	if err != nil {
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	// Without these the answer is a number alone, which is as good.
	_ = syscall.SetsockoptInt(fd, solNetlink, capAck, 1)
	_ = syscall.SetsockoptInt(fd, solNetlink, extAck, 1)
	if err := syscall.Bind(fd, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		syscall.Close(fd)
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	return &Conn{fd: fd, buffer: make([]byte, answers)}, nil
}

// Close closes the socket.
func (c *Conn) Close() { syscall.Close(c.fd) }

// Do makes a request and waits for the kernel to confirm it. It fails with *Error when the kernel refuses.
func (c *Conn) Do(kind, flags uint16, body Body) error {
	_, err := c.exchange(kind, flags|syscall.NLM_F_ACK, body)
	return err
}

// Ask makes a request and gives what the kernel answers.
func (c *Conn) Ask(kind uint16, body Body) ([]Message, error) {
	return c.exchange(kind, syscall.NLM_F_ACK, body)
}

// List makes a request for all there is of something.
func (c *Conn) List(kind uint16, body Body) ([]Message, error) {
	return c.exchange(kind, syscall.NLM_F_DUMP, body)
}

func (c *Conn) exchange(kind, flags uint16, body Body) ([]Message, error) {
	if len(body) > most {
		return nil, fmt.Errorf("a request of %d bytes is too long", len(body))
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

// parse reads what the kernel has said at once. It is done with the end of a list, or a confirmation.
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
			return all, true, refusal(payload, flags)
		default:
			all = append(all, Message{kind, append([]byte(nil), payload...)})
		}
	}
	return all, false, nil
}

// refusal is what a confirmation, or the end of a list, says: a number that is 0 or a negated errno; then the header of the
// request, if it is a confirmation, and attributes.
func refusal(payload []byte, flags uint16) error {
	if len(payload) < 4 {
		return nil
	}
	number := int32(binary.NativeEndian.Uint32(payload))
	if number >= 0 {
		return nil
	}
	refused := &Error{Errno: syscall.Errno(-number)}
	const head = 4 + syscall.SizeofNlMsghdr
	if flags&ackHasAttributes != 0 && len(payload) > head {
		attributes, _ := Parse(payload[head:])
		for _, a := range attributes {
			if a.Kind == ackMessage {
				refused.Detail = a.Text()
			}
		}
	}
	return refused
}
