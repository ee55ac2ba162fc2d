// Package rtnl reads and writes messages of netlink route sockets (rtnetlink(7)).
package rtnl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"golang.org/x/sys/unix"
)

// ErrMalformed means that the lengths in a message are inconsistent.
var ErrMalformed = errors.New("malformed netlink message")

// Open opens a route socket that receives the notifications of the groups. With groups it does not
// block.
func Open(groups uint32) (int, error) {
	kind := unix.SOCK_RAW | unix.SOCK_CLOEXEC
	if groups != 0 {
		kind |= unix.SOCK_NONBLOCK
	}
	fd, err := unix.Socket(unix.AF_NETLINK, kind, unix.NETLINK_ROUTE)
	if err != nil {
		return -1, fmt.Errorf("netlink: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("netlink: %w", err)
	}
	return fd, nil
}

// Request returns a message.
func Request(kind, flags uint16, sequence uint32, body []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+len(body)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, flags|unix.NLM_F_REQUEST)
	b = binary.NativeEndian.AppendUint32(b, sequence)
	return append(binary.NativeEndian.AppendUint32(b, 0), body...)
}

// Message is a message of the kernel.
type Message struct {
	Kind     uint16
	Sequence uint32
	Data     []byte
}

// Messages splits a datagram.
func Messages(b []byte) ([]Message, error) {
	var all []Message
	for len(b) >= unix.NLMSG_HDRLEN {
		size := int(binary.NativeEndian.Uint32(b))
		if size < unix.NLMSG_HDRLEN || size > len(b) {
			return nil, ErrMalformed
		}
		all = append(all, Message{
			Kind: binary.NativeEndian.Uint16(b[4:]), Sequence: binary.NativeEndian.Uint32(b[8:]), Data: b[unix.NLMSG_HDRLEN:size],
		})
		b = b[min((size+3)&^3, len(b)):]
	}
	return all, nil
}

// Attribute appends an attribute to the body of a message.
func Attribute(body []byte, kind uint16, value []byte) []byte {
	body = binary.NativeEndian.AppendUint16(body, uint16(4+len(value)))
	body = binary.NativeEndian.AppendUint16(body, kind)
	body = append(body, value...)
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	return body
}

// Attributes iterates over the well-formed attributes at the start of b.
func Attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= 4 {
			size := int(binary.NativeEndian.Uint16(b))
			if size < 4 || size > len(b) {
				return
			}
			const flags = 0xc000 // NLA_F_NESTED, NLA_F_NET_BYTEORDER
			if !yield(binary.NativeEndian.Uint16(b[2:])&^flags, b[4:size]) {
				return
			}
			b = b[min((size+3)&^3, len(b)):]
		}
	}
}
