package iso9660

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"strings"
	"unicode/utf16"
)

// Offsets in a directory record (ECMA-119 section 9.1).
const (
	atBlock      = 2
	atSize       = 10
	atFlags      = 25
	atNameLength = 32
	atName       = 33

	flagDirectory = 0x02
	flagContinues = 0x80 // in another record: files of 4 GiB and more
)

var errTruncated = errors.New("truncated directory record")

func extentOf(record []byte) extent {
	return extent{
		block:     binary.LittleEndian.Uint32(record[atBlock:]),
		size:      binary.LittleEndian.Uint32(record[atSize:]),
		directory: record[atFlags]&flagDirectory != 0,
	}
}

// lookUp finds a name in the bytes of a directory.
func lookUp(directory []byte, name string, joliet bool) (extent, error) {
	for at := 0; at < len(directory); {
		length := int(directory[at])
		if length == 0 { // records do not cross sector boundaries
			at = (at/sector + 1) * sector
			continue
		}
		if length <= atName || at+length > len(directory) {
			return extent{}, errTruncated
		}
		record := directory[at : at+length]
		at += length
		found, err := nameOf(record, joliet)
		if err != nil {
			return extent{}, err
		}
		if found == "" || found != name {
			continue
		}
		if record[atFlags]&flagContinues != 0 {
			return extent{}, errors.New("too large")
		}
		return extentOf(record), nil
	}
	return extent{}, fs.ErrNotExist
}

func nameOf(record []byte, joliet bool) (string, error) {
	end := atName + int(record[atNameLength])
	if end > len(record) {
		return "", errTruncated
	}
	id := record[atName:end]
	if len(id) == 1 && id[0] <= 1 { // the directory itself, or its parent
		return "", nil
	}
	if joliet {
		return withoutVersion(ucs2(id)), nil
	}
	if end%2 == 1 { // padding to an even offset
		end++
	}
	if end < len(record) {
		if name := rockRidge(record[end:]); name != "" {
			return name, nil
		}
	}
	return strings.ToLower(strings.TrimSuffix(withoutVersion(string(id)), ".")), nil
}

// rockRidge returns the name in the NM fields (RRIP 4.1.4). It ignores continuations outside the
// record, which only very long names have.
func rockRidge(fields []byte) string {
	const continues, itself, above = 1, 2, 4
	var name strings.Builder
	for len(fields) >= 4 {
		length := int(fields[2])
		if length < 4 || length > len(fields) {
			break
		}
		if string(fields[:2]) == "NM" && length > 4 && fields[4]&(itself|above) == 0 {
			name.Write(fields[5:length])
			if fields[4]&continues == 0 {
				break
			}
		}
		fields = fields[length:]
	}
	return name.String()
}

func ucs2(id []byte) string {
	units := make([]uint16, len(id)/2)
	for i := range units {
		units[i] = binary.BigEndian.Uint16(id[2*i:])
	}
	return string(utf16.Decode(units))
}

func withoutVersion(name string) string {
	name, _, _ = strings.Cut(name, ";")
	return name
}
