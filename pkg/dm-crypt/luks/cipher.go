package luks

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"hash"
)

// sector is the sector size for the encryption of key material.
const sector = 512

// sectorCipher encrypts and decrypts a sector in place.
type sectorCipher interface {
	encrypt(b []byte, number uint64)
	decrypt(b []byte, number uint64)
}

const (
	xtsName = "aes-xts-plain64"
	cbcName = "aes-cbc-essiv:sha256"
)

// newCipher returns the cipher with a dm-crypt name.
func newCipher(name string, key []byte) (sectorCipher, error) {
	switch name {
	case xtsName:
		if len(key) < 32 {
			return nil, fmt.Errorf("%s does not support keys of %d bytes", name, len(key))
		}
		half := len(key) / 2
		data, err := aes.NewCipher(key[:half])
		if err != nil {
			return nil, err
		}
		tweak, err := aes.NewCipher(key[half:])
		return xts{data, tweak}, err
	case cbcName:
		data, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		salt := sha256.Sum256(key)
		vector, err := aes.NewCipher(salt[:])
		return cbc{data, vector}, err
	}
	return nil, fmt.Errorf("unsupported cipher %q", name)
}

func newHashFunc(name string) (func() hash.Hash, error) {
	switch name {
	case "sha256":
		return sha256.New, nil
	case "sha512":
		return sha512.New, nil
	}
	return nil, fmt.Errorf("unsupported hash %q", name)
}

// xts is XTS-AES (IEEE 1619) for sectors of whole blocks.
type xts struct {
	data, tweak cipher.Block
}

func (x xts) encrypt(b []byte, number uint64) { x.apply(b, number, x.data.Encrypt) }
func (x xts) decrypt(b []byte, number uint64) { x.apply(b, number, x.data.Decrypt) }

func (x xts) apply(b []byte, number uint64, block func(dst, src []byte)) {
	var tweak [aes.BlockSize]byte
	binary.LittleEndian.PutUint64(tweak[:], number)
	x.tweak.Encrypt(tweak[:], tweak[:])
	for ; len(b) > 0; b = b[aes.BlockSize:] {
		xor(b[:aes.BlockSize], tweak[:])
		block(b, b)
		xor(b[:aes.BlockSize], tweak[:])
		carry := byte(0)
		for i, t := range tweak {
			tweak[i], carry = t<<1|carry, t>>7
		}
		// x^128 is x^7 + x^2 + x + 1.
		tweak[0] ^= carry * 0x87
	}
}

// cbc is AES-CBC with ESSIV: the initialization vector is the sector number, encrypted with a hash
// of the key.
type cbc struct {
	data, vector cipher.Block
}

func (c cbc) encrypt(b []byte, number uint64) {
	cipher.NewCBCEncrypter(c.data, c.start(number)).CryptBlocks(b, b)
}

func (c cbc) decrypt(b []byte, number uint64) {
	cipher.NewCBCDecrypter(c.data, c.start(number)).CryptBlocks(b, b)
}

func (c cbc) start(number uint64) []byte {
	vector := make([]byte, aes.BlockSize)
	binary.LittleEndian.PutUint64(vector, number)
	c.vector.Encrypt(vector, vector)
	return vector
}

func xor(to, by []byte) {
	for i := range to {
		to[i] ^= by[i]
	}
}
