package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
)

// Filesystem is the content of a superblock.
type Filesystem struct {
	Type  string // the name for mount(2), or that of blkid(8) for types that cannot be mounted
	Label string // "" without one
	UUID  string // "" without one, or in a form of the file system's own
}

func (f Filesystem) String() string {
	if f.Label == "" {
		return f.Type
	}
	return fmt.Sprintf("%s with the label %q", f.Type, f.Label)
}

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// maxLabel is the longest label of a superblock, in bytes.
const maxLabel = 256

// Check returns an error unless f can be a result of [Probe].
func (f Filesystem) Check() error {
	isKnown := f.Type == "ext2" || f.Type == "ext3" || slices.ContainsFunc(signatures, func(s signature) bool { return s.name == f.Type })
	if !isKnown || len(f.Label) > 3*maxLabel || f.UUID != "" && !uuidForm.MatchString(f.UUID) {
		return fmt.Errorf("file system %q with the UUID %q", f.Type, f.UUID)
	}
	return nil
}

// Errors of Probe.
var (
	ErrNone      = errors.New("no known file system")
	ErrAmbiguous = errors.New("signatures of several file systems")
)

// signature is the location of a file system's magic number, label and UUID.
type signature struct {
	name   string
	magic  string
	at     int64
	label  field
	uuid   int64 // 0: none
	refine func(io.ReaderAt) string
}

type field struct {
	at     int64
	length int
}

// From the Linux headers of the on-disk superblocks.
var signatures = []signature{
	{name: "ext4", magic: "\x53\xef", at: 1080, label: field{1144, 16}, uuid: 1128, refine: extVersion},
	{name: "xfs", magic: "XFSB", at: 0, label: field{108, 12}, uuid: 32},
	{name: "btrfs", magic: "_BHRfS_M", at: 65600, label: field{65835, 256}, uuid: 65568},
	{name: "erofs", magic: "\xe2\xe1\xf5\xe0", at: 1024, label: field{1088, 16}, uuid: 1072},
	{name: "squashfs", magic: "hsqs", at: 0},
	{name: "iso9660", magic: "CD001", at: 32769, label: field{32808, 32}},
	{name: "vfat", magic: "FAT32   ", at: 82, label: field{71, 11}},
	{name: "vfat", magic: "FAT16   ", at: 54, label: field{43, 11}},
	{name: "vfat", magic: "FAT12   ", at: 54, label: field{43, 11}},
	{name: "swap", magic: "SWAPSPACE2", at: 4086, label: field{1052, 16}, uuid: 1036},
	{name: "crypto_LUKS", magic: "LUKS\xba\xbe", at: 0},
}

// Probe identifies the file system of a device. The result is not validated: the device is
// untrusted.
func Probe(device io.ReaderAt) (Filesystem, error) {
	var found []Filesystem
	for _, signature := range signatures {
		if !bytes.Equal(read(device, signature.at, len(signature.magic)), []byte(signature.magic)) {
			continue
		}
		filesystem := Filesystem{Type: signature.name, Label: text(read(device, signature.label.at, signature.label.length))}
		if signature.uuid != 0 {
			filesystem.UUID = uuid(read(device, signature.uuid, 16))
		}
		if signature.refine != nil {
			filesystem.Type = signature.refine(device)
		}
		found = append(found, filesystem)
	}
	switch len(found) {
	case 0:
		return Filesystem{}, ErrNone
	case 1:
		return found[0], nil
	}
	return Filesystem{}, fmt.Errorf("%w: %s and %s", ErrAmbiguous, found[0].Type, found[1].Type)
}

// Prober identifies the file system of a device, as [Probe] does.
type Prober interface {
	Filesystem(device *os.File) (Filesystem, error)
}

// ProbePath identifies the file system of the device at path.
func ProbePath(p Prober, path string) (Filesystem, error) {
	file, err := os.Open(path)
	if err != nil {
		return Filesystem{}, err
	}
	defer file.Close()
	return p.Filesystem(file)
}

// read returns nil if the device is too short.
func read(device io.ReaderAt, at int64, length int) []byte {
	buffer := make([]byte, length)
	if n, _ := device.ReadAt(buffer, at); n < length {
		return nil
	}
	return buffer
}

func text(b []byte) string {
	if end := bytes.IndexByte(b, 0); end >= 0 {
		b = b[:end]
	}
	return strings.TrimRight(string(b), " ")
}

func uuid(b []byte) string {
	if len(b) != 16 || bytes.Count(b, []byte{0}) == 16 {
		return ""
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// extVersion distinguishes the versions of ext by their features: ext3 has a journal, ext4 has
// extents or other incompatible features.
func extVersion(device io.ReaderAt) string {
	features := read(device, 1116, 8)
	if len(features) < 8 {
		return "ext2"
	}
	const hasJournal, ext3Incompatible = 0x4, 0x2 | 0x4 | 0x8 | 0x10
	switch compatible, incompatible := binary.LittleEndian.Uint32(features), binary.LittleEndian.Uint32(features[4:]); {
	case incompatible&^ext3Incompatible != 0:
		return "ext4"
	case compatible&hasJournal != 0:
		return "ext3"
	}
	return "ext2"
}
