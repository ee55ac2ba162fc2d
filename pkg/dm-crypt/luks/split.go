package luks

import (
	"encoding/binary"
	"hash"
)

// The anti-forensic splitter of LUKS1: a key becomes much data, of which all is needed to have the key again, so that it is gone when
// any of it is overwritten.

// split fills all of the data but its end with random bytes before.
func split(key, data []byte, newHash func() hash.Hash) {
	last := data[len(data)-len(key):]
	copy(last, join(data, len(key), newHash))
	xor(last, key)
}

// merge is the key that was split.
func merge(data []byte, keySize int, newHash func() hash.Hash) []byte {
	key := join(data, keySize, newHash)
	xor(key, data[len(data)-keySize:])
	return key
}

// join goes through all pieces but the last.
func join(data []byte, keySize int, newHash func() hash.Hash) []byte {
	sum := make([]byte, keySize)
	for at := 0; at < len(data)-keySize; at += keySize {
		xor(sum, data[at:at+keySize])
		diffuse(sum, newHash)
	}
	return sum
}

// diffuse makes every bit of a piece of it depend on all others.
func diffuse(b []byte, newHash func() hash.Hash) {
	h := newHash()
	for i := uint32(0); len(b) > 0; i++ {
		piece := b[:min(h.Size(), len(b))]
		h.Reset()
		var number [4]byte
		binary.BigEndian.PutUint32(number[:], i)
		h.Write(number[:])
		h.Write(piece)
		copy(piece, h.Sum(nil))
		b = b[len(piece):]
	}
}
