// Package crypt verifies passwords of shadow(5): SHA-crypt, the forms $5$ and $6$ of crypt(5).
package crypt

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"errors"
	"hash"
	"strconv"
	"strings"
)

const (
	maxSalt       = 16
	defaultRounds = 5000
	minRounds     = 1000
	// maxRounds is less than crypt(5) allows: a verification takes seconds at most.
	maxRounds = 10_000_000
	digits    = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// Hash is a hashed password.
type Hash struct {
	text, salt string
	rounds     int
	is512      bool
}

// ErrForm means that a password is hashed in another way.
var ErrForm = errors.New("neither $5$ nor $6$ of crypt(5)")

// Parse parses the second field of a line of shadow(5).
func Parse(field string) (Hash, error) {
	h := Hash{text: field, rounds: defaultRounds}
	rest, found := strings.CutPrefix(field, "$6$")
	if h.is512 = found; !found {
		if rest, found = strings.CutPrefix(field, "$5$"); !found {
			return h, ErrForm
		}
	}
	if value, found := strings.CutPrefix(rest, "rounds="); found {
		number, after, _ := strings.Cut(value, "$")
		rounds, err := strconv.Atoi(number)
		if err != nil || rounds < minRounds || rounds > maxRounds {
			return h, ErrForm
		}
		h.rounds, rest = rounds, after
	}
	salt, sum, found := strings.Cut(rest, "$")
	size := 43
	if h.is512 {
		size = 86
	}
	if !found || len(salt) > maxSalt || len(sum) != size || strings.Trim(sum, digits) != "" {
		return h, ErrForm
	}
	h.salt = salt
	return h, nil
}

// Matches reports whether a password has the hash.
func (h Hash) Matches(password string) bool {
	prefix := h.text[:strings.LastIndexByte(h.text, '$')+1]
	var sum string
	if h.is512 {
		sum = encode(h.sum(sha512.New, password), 21, 42, func(a, b, c int) (int, int, int) { return b + 1, c + 1, a + 1 })
	} else {
		sum = encode(h.sum(sha256.New, password), 10, 20, func(a, b, c int) (int, int, int) { return c + 1, a + 1, b + 1 })
	}
	return subtle.ConstantTimeCompare([]byte(prefix+sum), []byte(h.text)) == 1
}

// sum follows the steps of Ulrich Drepper's "Unix crypt using SHA-256 and SHA-512".
func (h Hash) sum(algorithm func() hash.Hash, password string) []byte {
	key, salt := []byte(password), []byte(h.salt)
	of := func(parts ...[]byte) []byte {
		d := algorithm()
		for _, part := range parts {
			d.Write(part)
		}
		return d.Sum(nil)
	}
	other := of(key, salt, key)
	parts := [][]byte{key, salt, extend(other, len(key))}
	for n := len(key); n > 0; n >>= 1 {
		if n&1 == 1 {
			parts = append(parts, other)
		} else {
			parts = append(parts, key)
		}
	}
	sum := of(parts...)
	p := extend(of(bytes.Repeat(key, len(key))), len(key))
	s := extend(of(bytes.Repeat(salt, 16+int(sum[0]))), len(salt))
	for i := range h.rounds {
		first, last := sum, p
		if i&1 == 1 {
			first, last = p, sum
		}
		middle := [][]byte{first}
		if i%3 != 0 {
			middle = append(middle, s)
		}
		if i%7 != 0 {
			middle = append(middle, p)
		}
		sum = of(append(middle, last)...)
	}
	return sum
}

// extend repeats b to a size.
func extend(b []byte, size int) []byte { return bytes.Repeat(b, size/len(b)+1)[:size] }

// encode writes a sum with crypt's digits. Groups of three bytes are at indices that next gives.
func encode(sum []byte, b, c int, next func(a, b, c int) (int, int, int)) string {
	var out strings.Builder
	write := func(value uint, count int) {
		for range count {
			out.WriteByte(digits[value&63])
			value >>= 6
		}
	}
	a := 0
	for range len(sum) / 3 {
		write(uint(sum[a])<<16|uint(sum[b])<<8|uint(sum[c]), 4)
		a, b, c = next(a, b, c)
	}
	if len(sum) == sha512.Size {
		write(uint(sum[63]), 2)
	} else {
		write(uint(sum[31])<<8|uint(sum[30]), 3)
	}
	return out.String()
}
