package netlink

import (
	"encoding/binary"
	"errors"
)

const (
	headerSize = 4
	nested     = 1 << 15
	kindMask   = 1<<14 - 1
)

// ErrMalformed means that the lengths in a message are inconsistent.
var ErrMalformed = errors.New("malformed netlink message")

// Attribute is a netlink attribute. The meaning of Kind depends on the message.
type Attribute struct {
	Kind  uint16
	Value []byte
}

// Uint16 returns the value in native byte order, or 0 if it has another size.
func (a Attribute) Uint16() uint16 {
	if len(a.Value) != 2 {
		return 0
	}
	return binary.NativeEndian.Uint16(a.Value)
}

// Uint32 returns the value in native byte order, or 0 if it has another size.
func (a Attribute) Uint32() uint32 {
	if len(a.Value) != 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(a.Value)
}

// Uint64 returns the value in native byte order, or 0 if it has another size.
func (a Attribute) Uint64() uint64 {
	if len(a.Value) != 8 {
		return 0
	}
	return binary.NativeEndian.Uint64(a.Value)
}

// Text returns the value up to its null byte.
func (a Attribute) Text() string {
	for i, b := range a.Value {
		if b == 0 {
			return string(a.Value[:i])
		}
	}
	return string(a.Value)
}

// Parse returns the attributes in data. Their values are slices of data.
func Parse(data []byte) ([]Attribute, error) {
	var all []Attribute
	for len(data) >= headerSize {
		length := int(binary.NativeEndian.Uint16(data))
		if length < headerSize || length > len(data) {
			return nil, ErrMalformed
		}
		all = append(all, Attribute{binary.NativeEndian.Uint16(data[2:]) & kindMask, data[headerSize:length]})
		data = data[min(aligned(length), len(data)):]
	}
	return all, nil
}

// Body is a request after its header: a family-specific structure, followed by attributes.
type Body []byte

// Add appends an attribute.
func (b *Body) Add(kind uint16, value []byte) {
	*b = binary.NativeEndian.AppendUint16(*b, uint16(headerSize+len(value)))
	*b = binary.NativeEndian.AppendUint16(*b, kind)
	*b = append(*b, value...)
	b.align()
}

// AddUint8 appends an attribute of one byte.
func (b *Body) AddUint8(kind uint16, value uint8) { b.Add(kind, []byte{value}) }

// AddUint16 appends an attribute of two bytes.
func (b *Body) AddUint16(kind uint16, value uint16) {
	b.Add(kind, binary.NativeEndian.AppendUint16(nil, value))
}

// AddUint32 appends an attribute of four bytes.
func (b *Body) AddUint32(kind uint16, value uint32) {
	b.Add(kind, binary.NativeEndian.AppendUint32(nil, value))
}

// AddText appends a null-terminated string as an attribute.
func (b *Body) AddText(kind uint16, text string) { b.Add(kind, append([]byte(text), 0)) }

// Nest appends an attribute that contains the attributes added by fill.
func (b *Body) Nest(kind uint16, fill func(*Body)) {
	start := len(*b)
	b.Add(kind|nested, nil)
	fill(b)
	binary.NativeEndian.PutUint16((*b)[start:], uint16(len(*b)-start))
}

func (b *Body) align() {
	for len(*b)%4 != 0 {
		*b = append(*b, 0)
	}
}

func aligned(n int) int { return (n + 3) &^ 3 }
