package mapper

import (
	"encoding/hex"
	"fmt"

	"golang.org/x/sys/unix"

	"lkt/storage/drive"
)

// Crypt describes a dm-crypt device.
type Crypt struct {
	Device string
	Offset uint64 // start of the encrypted sectors, in sectors of 512 bytes
	Length uint64 // in sectors of 512 bytes; 0: up to the end of the device
	Cipher string // as dm-crypt calls it: "aes-xts-plain64"
	Key    []byte
	// SectorSize is the encryption sector size in bytes: 512, or a power of two up to 4096. 0 means
	// 512.
	SectorSize uint64
	// Tweak is the number of the first sector in its initialization vector.
	Tweak uint64
	// UUID tells other programs which program created the device.
	UUID string
}

// Target returns the target for [Create].
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
		return Target{}, fmt.Errorf("%s has too few sectors: %d", c.Device, sectors)
	}
	length := c.Length
	if length == 0 {
		length = (sectors - c.Offset) / per * per
	}
	if length == 0 {
		return Target{}, fmt.Errorf("%s has too few sectors: %d", c.Device, sectors)
	}
	parameters := fmt.Sprintf("%s %s %d %s %d", c.Cipher, hex.EncodeToString(c.Key), c.Tweak, device, c.Offset)
	if c.SectorSize > 512 {
		parameters += fmt.Sprintf(" 1 sector_size:%d", c.SectorSize)
	}
	return Target{Kind: "crypt", Sectors: length, Parameters: parameters}, nil
}
