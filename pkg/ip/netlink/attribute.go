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

// ErrMalformed is of a message whose lengths do not fit it.
var ErrMalformed = errors.New("a netlink message that is malformed")

// Attribute is one of a message: a kind, which only has a meaning in its place, and a value.
type Attribute struct {
	Kind  uint16
	Value []byte
}

// Uint16 is the value as the kernel has it, or 0 when it has another size.
func (a Attribute) Uint16() uint16 {
	if len(a.Value) != 2 {
		return 0
	}
	return binary.NativeEndian.Uint16(a.Value)
}

// Uint32 is the value as the kernel has it, or 0 when it has another size.
func (a Attribute) Uint32() uint32 {
	if len(a.Value) != 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(a.Value)
}

// Uint64 is the value as the kernel has it, or 0 when it has another size.
func (a Attribute) Uint64() uint64 {
	if len(a.Value) != 8 {
		return 0
	}
	return binary.NativeEndian.Uint64(a.Value)
}

// Text is the value up to the byte that ends it.
func (a Attribute) Text() string {
	for i, b := range a.Value {
		if b == 0 {
			return string(a.Value[:i])
		}
	}
	return string(a.Value)
}

// Parse gives the attributes that follow one another in data, whose values are slices of it.
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

// Body is what a request has after its header: a structure of its family, then attributes.
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

// AddText appends an attribute that is a text and the byte that ends it.
func (b *Body) AddText(kind uint16, text string) { b.Add(kind, append([]byte(text), 0)) }

// Nest appends an attribute that has others in it.
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
