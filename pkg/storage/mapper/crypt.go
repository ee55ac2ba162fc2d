package mapper

import (
	"encoding/hex"
	"fmt"

	"golang.org/x/sys/unix"

	"lkt/storage/drive"
)

// Crypt describes a device whose sectors are another one's, encrypted.
type Crypt struct {
	Device string
	Offset uint64 // in sectors of 512 bytes: where the encrypted ones begin
	Length uint64 // in sectors; 0 for all there are
	Cipher string // as dm-crypt calls it: "aes-xts-plain64"
	Key    []byte
	// SectorSize is that by which is encrypted, in bytes: 512 or a power of two up to 4096. 0 is 512.
	SectorSize uint64
	// Tweak is the number the first sector has for its initialization vector.
	Tweak uint64
	// UUID tells other programs what made the device.
	UUID string
}

// Target is what [Create] takes.
func (c Crypt) Target() (Target, error) {
	size, err := drive.SizeOf(c.Device)
	if err != nil {
		return Target{}, err
	}
	var stat unix.Stat_t
	if err := unix.Stat(c.Device, &stat); err != nil {
		return Target{}, fmt.Errorf("%s: %w", c.Device, err)
	}
	return c.target(uint64(size)/512, fmt.Sprintf("%d:%d", unix.Major(stat.Rdev), unix.Minor(stat.Rdev)))
}

func (c Crypt) target(sectors uint64, device string) (Target, error) {
	per := max(c.SectorSize, 512) / 512
	if sectors <= c.Offset || c.Length > sectors-c.Offset {
		return Target{}, fmt.Errorf("%s has %d sectors, which is too few", c.Device, sectors)
	}
	length := c.Length
	if length == 0 {
		length = (sectors - c.Offset) / per * per
	}
	if length == 0 {
		return Target{}, fmt.Errorf("%s has %d sectors, which is too few", c.Device, sectors)
	}
	parameters := fmt.Sprintf("%s %s %d %s %d", c.Cipher, hex.EncodeToString(c.Key), c.Tweak, device, c.Offset)
	if c.SectorSize > 512 {
		parameters += fmt.Sprintf(" 1 sector_size:%d", c.SectorSize)
	}
	return Target{"crypt", length, parameters}, nil
}
