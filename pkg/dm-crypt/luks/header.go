// Package luks reads and creates LUKS2 volumes: "LUKS2 On-Disk Format Specification", version 1.1.
package luks

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

const (
	magic       = "LUKS\xba\xbe"
	magicSecond = "SKUL\xba\xbe"
	binarySize  = 4096
	// Offsets in the binary header.
	atVersion, atSize, atSequence, atAlgorithm, atSalt, atUUID, atOffset, atSum = 6, 8, 16, 72, 104, 168, 256, 448
)

// ErrNotLUKS means that a device has no LUKS header.
var ErrNotLUKS = errors.New("no LUKS header")

// Sizes of a header with its JSON that the format allows. The second header follows the first.
var headerSizes = []int64{16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20}

// Read reads the header, or its copy if the header is damaged.
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

var errVersion = errors.New("LUKS1 is not supported\n  fix: convert it with `cryptsetup convert --type luks2`")

func readHeader(device io.ReaderAt, at int64, magic string) (Volume, error) {
	b := make([]byte, binarySize)
	if _, err := device.ReadAt(b, at); err != nil || string(b[:len(magic)]) != magic {
		return Volume{}, ErrNotLUKS
	}
	switch version := binary.BigEndian.Uint16(b[atVersion:]); {
	case version == 1:
		return Volume{}, errVersion
	case version != 2:
		return Volume{}, fmt.Errorf("unknown LUKS version %d", version)
	}
	size := int64(binary.BigEndian.Uint64(b[atSize:]))
	switch {
	case !isHeaderSize(size) || at != 0 && at != size || binary.BigEndian.Uint64(b[atOffset:]) != uint64(at):
		return Volume{}, errors.New("the LUKS header has an invalid size or offset")
	case text(b[atAlgorithm:atSalt]) != "sha256":
		return Volume{}, fmt.Errorf("unsupported checksum algorithm %q of the LUKS header", text(b[atAlgorithm:atSalt]))
	}
	whole := make([]byte, size)
	if _, err := device.ReadAt(whole, at); err != nil {
		return Volume{}, err
	}
	sum := bytes.Clone(whole[atSum : atSum+sha256.Size])
	clear(whole[atSum : atSum+64])
	if got := sha256.Sum256(whole); !bytes.Equal(got[:], sum) {
		return Volume{}, errors.New("the LUKS header is damaged: wrong checksum")
	}
	volume, err := parse([]byte(text(whole[binarySize:])), size)
	if err != nil {
		return Volume{}, fmt.Errorf("LUKS header: %w", err)
	}
	volume.UUID = text(whole[atUUID : atUUID+40])
	if !isUUID(volume.UUID) {
		return Volume{}, errors.New("the LUKS header has no valid UUID")
	}
	return volume, nil
}

func isHeaderSize(size int64) bool {
	for _, known := range headerSizes {
		if size == known {
			return true
		}
	}
	return false
}

// header returns a complete header: the binary part and the JSON, with the checksum.
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

// text returns the bytes before the first zero.
func text(b []byte) string {
	if end := bytes.IndexByte(b, 0); end >= 0 {
		b = b[:end]
	}
	return string(b)
}
