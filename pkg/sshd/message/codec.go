// Package message encodes what the processes of sshd say to each other. A receiver trusts no
// message: every field has a limit, and a message must have no other bytes.
package message

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// MaxSize is the maximum size of an encoded message in bytes.
const MaxSize = 1 << 16

// ErrInvalid means that a message is not one that the sender's role may send.
var ErrInvalid = errors.New("invalid message")

// Message is one of the types of this package.
type Message interface {
	fields(f *fields)
}

// fields writes or reads the fields of a message in their order.
type fields struct {
	bytes   []byte
	reading bool
	failed  bool
}

func (f *fields) take(size int) []byte {
	if f.failed || size > len(f.bytes) {
		f.failed = true
		return nil
	}
	taken := f.bytes[:size]
	f.bytes = f.bytes[size:]
	return taken
}

func (f *fields) uint32(v *uint32) {
	if !f.reading {
		f.bytes = binary.BigEndian.AppendUint32(f.bytes, *v)
	} else if b := f.take(4); b != nil {
		*v = binary.BigEndian.Uint32(b)
	}
}

func (f *fields) bool(v *bool) {
	number := uint32(0)
	if *v {
		number = 1
	}
	if f.uint32(&number); number > 1 {
		f.failed = true
	}
	*v = number == 1
}

// data is a byte string of at most limit bytes.
func (f *fields) data(v *[]byte, limit int) {
	size := uint32(len(*v))
	f.uint32(&size)
	if uint64(size) > uint64(limit) {
		f.failed = true
		return
	}
	if !f.reading {
		f.bytes = append(f.bytes, *v...)
		return
	}
	*v = append([]byte(nil), f.take(int(size))...)
}

// text is a string of at most limit bytes without a zero byte, which would end it in a system call.
func (f *fields) text(v *string, limit int) {
	b := []byte(*v)
	f.data(&b, limit)
	for _, c := range b {
		f.failed = f.failed || c == 0
	}
	*v = string(b)
}

// list is a list of at most count texts of at most limit bytes.
func (f *fields) list(v *[]string, count, limit int) {
	size := uint32(len(*v))
	f.uint32(&size)
	if uint64(size) > uint64(count) {
		f.failed = true
		return
	}
	if f.reading {
		*v = nil
	}
	for i := range int(size) {
		var item string
		if !f.reading {
			item = (*v)[i]
		}
		f.text(&item, limit)
		if f.failed {
			return
		}
		if f.reading {
			*v = append(*v, item)
		}
	}
}

// Encode encodes a message. It fails if a field exceeds its limit.
func Encode(m Message) ([]byte, error) {
	kind, err := kindOf(m)
	if err != nil {
		return nil, err
	}
	f := &fields{bytes: []byte{kind}}
	if m.fields(f); f.failed || len(f.bytes) > MaxSize {
		return nil, fmt.Errorf("%T: %w", m, ErrInvalid)
	}
	return f.bytes, nil
}

// Decode decodes a message.
func Decode(b []byte) (Message, error) {
	if len(b) == 0 || int(b[0]) >= len(kinds) {
		return nil, ErrInvalid
	}
	m := kinds[b[0]]()
	f := &fields{bytes: b[1:], reading: true}
	if m.fields(f); f.failed || len(f.bytes) > 0 {
		return nil, fmt.Errorf("%T: %w", m, ErrInvalid)
	}
	return m, nil
}
