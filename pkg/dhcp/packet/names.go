package packet

import "errors"

var errNames = errors.New("invalid domain names")

// Names parses a list of domain names with the compression of RFC 1035 section 4.1.4 (RFC 3397).
func Names(b []byte) ([]string, error) {
	const maxNames = 32
	var names []string
	for at := 0; at < len(b); {
		name, next, err := readName(b, at)
		if err != nil || len(names) == maxNames {
			return nil, errNames
		}
		names, at = append(names, name), next
	}
	return names, nil
}

// readName reads the name at an offset, and returns the offset after it. A pointer must lead back,
// so that there is no loop.
func readName(b []byte, at int) (name string, next int, err error) {
	limit := at // of the next pointer
	for {
		if at >= len(b) {
			return "", 0, errNames
		}
		size := int(b[at])
		at++
		switch {
		case size == 0:
			if next == 0 {
				next = at
			}
			return name, next, nil
		case size >= 0xc0:
			if at >= len(b) {
				return "", 0, errNames
			}
			to := size&0x3f<<8 | int(b[at])
			if next == 0 {
				next = at + 1
			}
			if to >= limit {
				return "", 0, errNames
			}
			at, limit = to, to
		case size > 63 || at+size > len(b) || len(name)+size > 253:
			return "", 0, errNames
		default:
			if name != "" {
				name += "."
			}
			name += string(b[at : at+size])
			at += size
		}
	}
}
