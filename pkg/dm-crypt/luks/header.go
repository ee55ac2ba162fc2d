// Package luks reads and makes encrypted volumes in the way of LUKS2: "LUKS2 On-Disk Format Specification", version 1.1.
package luks

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	magic       = "LUKS\xba\xbe"
	magicSecond = "SKUL\xba\xbe"
	binarySize  = 4096
	// The places of the binary header.
	atVersion, atSize, atSequence, atAlgorithm, atSalt, atUUID, atOffset, atSum = 6, 8, 16, 72, 104, 168, 256, 448
)

// ErrNotLUKS says that a device has no header of LUKS.
var ErrNotLUKS = errors.New("no header of LUKS")

// Sizes of a header with its JSON that the format allows; the second one begins where the first ends.
var headerSizes = []int64{16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20}

// Read reads the header, or its copy if that is damaged.
func Read(device io.ReaderAt) (Volume, error) {
	first, err := readHeader(device, 0, magic)
	if err == nil || errors.Is(err, errVersion) {
		return first, err
	}
	for _, at := range headerSizes {
		if second, err := readHeader(device, at, magicSecond); err == nil {
			return second, nil
		}
	}
	return Volume{}, err
}

var errVersion = errors.New("LUKS1 is not known here; `cryptsetup convert --type luks2` makes LUKS2 of it")

func readHeader(device io.ReaderAt, at int64, magic string) (Volume, error) {
	b := make([]byte, binarySize)
	if _, err := device.ReadAt(b, at); err != nil || string(b[:len(magic)]) != magic {
		return Volume{}, ErrNotLUKS
	}
	switch version := binary.BigEndian.Uint16(b[atVersion:]); {
	case version == 1:
		return Volume{}, errVersion
	case version != 2:
		return Volume{}, fmt.Errorf("there is no LUKS of version %d", version)
	}
	size := int64(binary.BigEndian.Uint64(b[atSize:]))
	switch {
	case !knownSize(size) || at != 0 && at != size || binary.BigEndian.Uint64(b[atOffset:]) != uint64(at):
		return Volume{}, errors.New("the header of LUKS has an impossible size or place")
	case text(b[atAlgorithm:atSalt]) != "sha256":
		return Volume{}, fmt.Errorf("the header has a sum by %q, not sha256", text(b[atAlgorithm:atSalt]))
	}
	whole := make([]byte, size)
	if _, err := device.ReadAt(whole, at); err != nil {
		return Volume{}, err
	}
	sum := bytes.Clone(whole[atSum : atSum+sha256.Size])
	clear(whole[atSum : atSum+64])
	if got := sha256.Sum256(whole); !bytes.Equal(got[:], sum) {
		return Volume{}, errors.New("the header of LUKS is damaged: its sum is another one")
	}
	volume, err := parse([]byte(text(whole[binarySize:])), size)
	if err != nil {
		return Volume{}, fmt.Errorf("the header of LUKS: %w", err)
	}
	volume.UUID = text(whole[atUUID : atUUID+40])
	if strings.ContainsFunc(volume.UUID, func(c rune) bool { return c != '-' && !strings.ContainsRune("0123456789abcdef", c) }) {
		return Volume{}, errors.New("the header of LUKS has no UUID")
	}
	return volume, nil
}

func knownSize(size int64) bool {
	for _, known := range headerSizes {
		if size == known {
			return true
		}
	}
	return false
}

// header is a whole one: the binary part and the JSON, with their sum.
func header(metadata metadata, uuid string, salt [64]byte, size, at int64) ([]byte, error) {
	b := make([]byte, size)
	text, err := json.Marshal(metadata)
	if err != nil {
		return nil, err
	}
	copy(b, magic)
	if at != 0 {
		copy(b, magicSecond)
	}
	binary.BigEndian.PutUint16(b[atVersion:], 2)
	binary.BigEndian.PutUint64(b[atSize:], uint64(size))
	binary.BigEndian.PutUint64(b[atSequence:], 1)
	copy(b[atAlgorithm:], "sha256")
	copy(b[atSalt:], salt[:])
	copy(b[atUUID:], uuid)
	binary.BigEndian.PutUint64(b[atOffset:], uint64(at))
	copy(b[binarySize:], text)
	sum := sha256.Sum256(b)
	copy(b[atSum:], sum[:])
	return b, nil
}

// text is what stands before the first zero.
func text(b []byte) string {
	if end := bytes.IndexByte(b, 0); end >= 0 {
		b = b[:end]
	}
	return string(b)
}
