// Package sha256 is SHA-256 (FIPS 180-4). The standard library's links what checks and approves the
// ciphers of FIPS 140, a fifteenth of this program and more than all the rest of its cryptography.
package sha256

import (
	"encoding/binary"
	"math/bits"
)

// Size is the size of a digest in bytes.
const Size = 32

const blockSize = 64

var constants = [64]uint32{
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
}

// Sum returns the digest of the parts, one after the other.
func Sum(parts ...[]byte) (digest [Size]byte) {
	var message []byte
	for _, part := range parts {
		message = append(message, part...)
	}
	length := uint64(len(message)) * 8
	message = append(message, 0x80)
	for len(message)%blockSize != blockSize-8 {
		message = append(message, 0)
	}
	message = binary.BigEndian.AppendUint64(message, length)
	state := [8]uint32{
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
	}
	for ; len(message) > 0; message = message[blockSize:] {
		compress(&state, message[:blockSize])
	}
	for at, word := range state {
		binary.BigEndian.PutUint32(digest[4*at:], word)
	}
	return digest
}

// compress is the hash computation of a block, FIPS 180-4 section 6.2.2.
func compress(state *[8]uint32, block []byte) {
	rotate := func(x uint32, by int) uint32 { return bits.RotateLeft32(x, -by) }
	var w [64]uint32
	for t := range w {
		if t < 16 {
			w[t] = binary.BigEndian.Uint32(block[4*t:])
			continue
		}
		s0 := rotate(w[t-15], 7) ^ rotate(w[t-15], 18) ^ w[t-15]>>3
		s1 := rotate(w[t-2], 17) ^ rotate(w[t-2], 19) ^ w[t-2]>>10
		w[t] = w[t-16] + s0 + w[t-7] + s1
	}
	a, b, c, d, e, f, g, h := state[0], state[1], state[2], state[3], state[4], state[5], state[6], state[7]
	for t := range w {
		t1 := h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + (e&f ^ ^e&g) + constants[t] + w[t]
		t2 := (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + (a&b ^ a&c ^ b&c)
		h, g, f, e, d, c, b, a = g, f, e, d+t1, c, b, a, t1+t2
	}
	for at, word := range [8]uint32{a, b, c, d, e, f, g, h} {
		state[at] += word
	}
}
