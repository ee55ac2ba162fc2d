package nts

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"errors"
)

const (
	blockSize = 16
	// keySize is the size of a key of AEAD_AES_SIV_CMAC_256: one for the MAC, one for encryption.
	keySize = 2 * blockSize
)

// siv is AEAD_AES_SIV_CMAC_256: RFC 5297, the algorithm that every NTS server has. Go's library
// lacks it.
type siv struct {
	mac, encryption cipher.Block
	// first and second are the subkeys of the MAC (RFC 4493 section 2.3).
	first, second [blockSize]byte
}

func newSIV(key []byte) (*siv, error) {
	if len(key) != keySize {
		return nil, errors.New("key size")
	}
	mac, err := aes.NewCipher(key[:blockSize])
	if err != nil {
		return nil, err
	}
	encryption, err := aes.NewCipher(key[blockSize:])
	if err != nil {
		return nil, err
	}
	s := &siv{mac: mac, encryption: encryption}
	mac.Encrypt(s.first[:], s.first[:])
	s.first = double(s.first)
	s.second = double(s.first)
	return s, nil
}

// double multiplies by x in the field of 2^128 elements, in constant time.
func double(b [blockSize]byte) (out [blockSize]byte) {
	const polynomial = 0x87
	for i := range blockSize - 1 {
		out[i] = b[i]<<1 | b[i+1]>>7
	}
	out[blockSize-1] = b[blockSize-1]<<1 ^ byte(subtle.ConstantTimeSelect(int(b[0]>>7), polynomial, 0))
	return out
}

func xor(a *[blockSize]byte, b []byte) { subtle.XORBytes(a[:], a[:], b) }

// cmac returns AES-CMAC: RFC 4493.
func (s *siv) cmac(message []byte) (sum [blockSize]byte) {
	for len(message) > blockSize {
		xor(&sum, message[:blockSize])
		s.mac.Encrypt(sum[:], sum[:])
		message = message[blockSize:]
	}
	if len(message) == blockSize {
		xor(&sum, message)
		xor(&sum, s.first[:])
	} else {
		last := padded(message)
		xor(&sum, last[:])
		xor(&sum, s.second[:])
	}
	s.mac.Encrypt(sum[:], sum[:])
	return sum
}

// padded returns less than a block with a one bit and zeros after it.
func padded(b []byte) (block [blockSize]byte) {
	copy(block[:], b)
	block[len(b)] = 0x80
	return block
}

// vector returns the synthetic initialization vector of a plaintext (S2V, RFC 5297 section 2.4).
func (s *siv) vector(plaintext []byte, data [][]byte) (vector [blockSize]byte) {
	sum := s.cmac(make([]byte, blockSize))
	for _, part := range data {
		sum = double(sum)
		of := s.cmac(part)
		xor(&sum, of[:])
	}
	if len(plaintext) < blockSize {
		sum = double(sum)
		last := padded(plaintext)
		xor(&sum, last[:])
		return s.cmac(sum[:])
	}
	all := append([]byte(nil), plaintext...)
	end := all[len(all)-blockSize:]
	subtle.XORBytes(end, end, sum[:])
	return s.cmac(all)
}

// crypt encrypts or decrypts.
func (s *siv) crypt(text []byte, vector [blockSize]byte) []byte {
	vector[8] &= 0x7f
	vector[12] &= 0x7f
	out := make([]byte, len(text))
	cipher.NewCTR(s.encryption, vector[:]).XORKeyStream(out, text)
	return out
}

// seal encrypts, and authenticates data too. The last item of data is the nonce.
func (s *siv) seal(plaintext []byte, data ...[]byte) []byte {
	vector := s.vector(plaintext, data)
	return append(vector[:], s.crypt(plaintext, vector)...)
}

var errAuthentic = errors.New("not authentic")

// open is the opposite of seal.
func (s *siv) open(sealed []byte, data ...[]byte) ([]byte, error) {
	if len(sealed) < blockSize {
		return nil, errAuthentic
	}
	vector := [blockSize]byte(sealed)
	plaintext := s.crypt(sealed[blockSize:], vector)
	computed := s.vector(plaintext, data)
	if subtle.ConstantTimeCompare(vector[:], computed[:]) != 1 {
		return nil, errAuthentic
	}
	return plaintext, nil
}
