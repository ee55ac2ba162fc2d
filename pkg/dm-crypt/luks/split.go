package luks

import (
	"encoding/binary"
	"hash"
)

// The anti-forensic splitter of LUKS1: it expands a key to much more data, all of which is needed
// to restore the key. Overwriting any of it destroys the key.

// split splits a key into data, whose contents except the end the caller has filled with random
// bytes.
func split(key, data []byte, newHash func() hash.Hash) {
	last := data[len(data)-len(key):]
	copy(last, join(data, len(key), newHash))
	xor(last, key)
}

// merge restores a key that was split.
func merge(data []byte, keySize int, newHash func() hash.Hash) []byte {
	key := join(data, keySize, newHash)
	xor(key, data[len(data)-keySize:])
	return key
}

// join combines all stripes but the last.
func join(data []byte, keySize int, newHash func() hash.Hash) []byte {
	sum := make([]byte, keySize)
	for at := 0; at < len(data)-keySize; at += keySize {
		xor(sum, data[at:at+keySize])
		diffuse(sum, newHash)
	}
	return sum
}

// diffuse makes every bit of a stripe depend on all others.
func diffuse(b []byte, newHash func() hash.Hash) {
	h := newHash()
	for i := uint32(0); len(b) > 0; i++ {
		part := b[:min(h.Size(), len(b))]
		h.Reset()
		var number [4]byte
		binary.BigEndian.PutUint32(number[:], i)
		h.Write(number[:])
		h.Write(part)
		copy(part, h.Sum(nil))
		b = b[len(part):]
	}
}
