package luks

import (
	"encoding/binary"
	"math/bits"
)

// blake2b computes the unkeyed BLAKE2b hash (RFC 7693) of size bytes, up to 64. Go's standard
// library lacks it.
func blake2b(size int, input ...[]byte) []byte {
	var message []byte
	for _, part := range input {
		message = append(message, part...)
	}
	h := blakeStart
	h[0] ^= 0x01010000 ^ uint64(size)
	length := uint64(len(message))
	at := uint64(0)
	for ; length-at > 128; at += 128 {
		blakeCompress(&h, message[at:at+128], at+128, false)
	}
	var last [128]byte
	copy(last[:], message[at:])
	blakeCompress(&h, last[:], length, true)
	var sum [64]byte
	for i, word := range h {
		binary.LittleEndian.PutUint64(sum[8*i:], word)
	}
	return sum[:size]
}

var blakeStart = [8]uint64{
	0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
	0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
}

var blakeOrder = [10][16]byte{
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
	{11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
	{7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
	{9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
	{2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
	{12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
	{13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
	{6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
	{10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
}

func blakeCompress(h *[8]uint64, block []byte, count uint64, last bool) {
	var m, v [16]uint64
	for i := range m {
		m[i] = binary.LittleEndian.Uint64(block[8*i:])
	}
	copy(v[:8], h[:])
	copy(v[8:], blakeStart[:])
	v[12] ^= count
	if last {
		v[14] = ^v[14]
	}
	for round := range 12 {
		for i, q := range mixOrder {
			s := &blakeOrder[round%10]
			a, b, c, d := &v[q[0]], &v[q[1]], &v[q[2]], &v[q[3]]
			*a += *b + m[s[2*i]]
			*d = bits.RotateLeft64(*d^*a, -32)
			*c += *d
			*b = bits.RotateLeft64(*b^*c, -24)
			*a += *b + m[s[2*i+1]]
			*d = bits.RotateLeft64(*d^*a, -16)
			*c += *d
			*b = bits.RotateLeft64(*b^*c, -63)
		}
	}
	for i := range h {
		h[i] ^= v[i] ^ v[i+8]
	}
}

// mixOrder are the columns and the diagonals of a square of 16 words.
var mixOrder = [8][4]int{
	{0, 4, 8, 12}, {1, 5, 9, 13}, {2, 6, 10, 14}, {3, 7, 11, 15}, {0, 5, 10, 15}, {1, 6, 11, 12}, {2, 7, 8, 13}, {3, 4, 9, 14},
}
