// Package eventlog parses the log of what was measured into a TPM before the kernel ran (TCG PC
// Client Platform Firmware Profile, section 10). The log proves nothing by itself: it explains the
// values of registers.
package eventlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
)

// MaxSize is the maximum size of a log in bytes.
const MaxSize = 1 << 20

// Registers are the indices that nothing but the measured boot changes: not that of IMA (10), and
// not those that programs may reset (16 to 23).
var Registers = []uint{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15}

// Event is a measurement.
type Event struct {
	Register uint
	Type     uint32
	Digest   [sha256.Size]byte
	Data     []byte
}

const (
	noAction     = 0x00000003
	separator    = 0x00000004
	eventTag     = 0x00000006
	efiVariables = 0x80000001
	efiBoot      = 0x80000002
	efiBoot2     = 0x8000000c
	efiAuthority = 0x800000e0
)

var names = map[uint32]string{
	noAction: "NO_ACTION", separator: "SEPARATOR", 0x5: "ACTION", eventTag: "EVENT_TAG", 0x7: "S_CRTM_CONTENTS", 0x8: "S_CRTM_VERSION",
	0x9: "CPU_MICROCODE", 0xa: "PLATFORM_CONFIG_FLAGS", 0xb: "TABLE_OF_DEVICES", 0xc: "COMPACT_HASH", 0xd: "IPL",
	0xe: "IPL_PARTITION_DATA", 0xf: "NONHOST_CODE", 0x10: "NONHOST_CONFIG", 0x11: "NONHOST_INFO", 0x12: "OMIT_BOOT_DEVICE_EVENTS",
	efiVariables: "EFI_VARIABLE_DRIVER_CONFIG", efiBoot: "EFI_VARIABLE_BOOT", 0x80000003: "EFI_BOOT_SERVICES_APPLICATION",
	0x80000004: "EFI_BOOT_SERVICES_DRIVER", 0x80000005: "EFI_RUNTIME_SERVICES_DRIVER", 0x80000006: "EFI_GPT_EVENT", 0x80000007: "EFI_ACTION",
	0x80000008: "EFI_PLATFORM_FIRMWARE_BLOB", 0x80000009: "EFI_HANDOFF_TABLES", 0x8000000a: "EFI_PLATFORM_FIRMWARE_BLOB2",
	0x8000000b: "EFI_HANDOFF_TABLES2", efiBoot2: "EFI_VARIABLE_BOOT2", 0x80000010: "EFI_HCRTM_EVENT", efiAuthority: "EFI_VARIABLE_AUTHORITY",
}

// algorithmSHA256 is its TPM_ALG_ID.
const algorithmSHA256 = 0x000b

// signature begins the header, which announces the digests of each event.
const signature = "Spec ID Event03\x00"

var (
	errFormat = errors.New("not a log of a TPM 2.0")
	errShort  = errors.New("the log ends within an event")
)

// Parse parses a log. Each event must have a digest of SHA-256.
func Parse(log []byte) ([]Event, error) {
	if len(log) > MaxSize {
		return nil, fmt.Errorf("the log has more than %d bytes", MaxSize)
	}
	r := &reader{rest: log}
	sizes, err := parseHeader(r)
	if err != nil {
		return nil, err
	}
	var events []Event
	for len(r.rest) > 0 {
		event, err := parseEvent(r, sizes)
		if err != nil {
			return nil, fmt.Errorf("event %d: %w", len(events)+1, err)
		}
		events = append(events, event)
	}
	return events, nil
}

// parseHeader returns the sizes of digests by algorithm. The header is an event of TPM 1.2.
func parseHeader(r *reader) (map[uint16]int, error) {
	register, kind := r.uint32(), r.uint32()
	r.bytes(20)
	header := &reader{rest: r.bytes(int(r.uint32()))}
	if r.failed || register != 0 || kind != noAction || string(header.bytes(len(signature))) != signature {
		return nil, errFormat
	}
	header.bytes(8) // platform class, version and size of a word
	count := header.uint32()
	sizes := map[uint16]int{}
	for range min(count, 16) {
		algorithm, size := header.uint16(), header.uint16()
		if size > 64 {
			return nil, errFormat
		}
		sizes[algorithm] = int(size)
	}
	if header.failed || len(sizes) != int(count) || sizes[algorithmSHA256] != sha256.Size {
		return nil, errFormat
	}
	return sizes, nil
}

func parseEvent(r *reader, sizes map[uint16]int) (Event, error) {
	event := Event{Register: uint(r.uint32()), Type: r.uint32()}
	count := r.uint32()
	if count > uint32(len(sizes)) {
		return event, errFormat
	}
	found := false
	for range count {
		algorithm := r.uint16()
		size, known := sizes[algorithm]
		if r.failed {
			return event, errShort
		}
		if !known {
			return event, fmt.Errorf("unknown algorithm %#x", algorithm)
		}
		if value := r.bytes(size); algorithm == algorithmSHA256 && len(value) == sha256.Size {
			event.Digest, found = [sha256.Size]byte(value), true
		}
	}
	event.Data = r.bytes(int(r.uint32()))
	switch {
	case r.failed:
		return event, errShort
	case !found || event.Register >= 24 && event.Type != noAction:
		return event, errFormat
	}
	return event, nil
}

// Replay returns the values of the registers after the events.
func Replay(events []Event) [24][sha256.Size]byte {
	var values [24][sha256.Size]byte
	for _, event := range events {
		if event.Type == noAction {
			// The locality from which the firmware started is the first value of register 0.
			if rest, found := bytes.CutPrefix(event.Data, []byte("StartupLocality\x00")); found && event.Register == 0 && len(rest) == 1 {
				values[0][sha256.Size-1] = rest[0]
			}
			continue
		}
		value := &values[event.Register]
		*value = sha256.Sum256(append(value[:], event.Digest[:]...))
	}
	return values
}

// String returns register, digest, type and text of an event in a line.
func (e Event) String() string {
	name, found := names[e.Type]
	if !found {
		name = fmt.Sprintf("%#x", e.Type)
	}
	line := fmt.Sprintf("%d %x %s", e.Register, e.Digest, name)
	if text := e.text(); text != "" {
		line += " " + text
	}
	return line
}

// maxText is the maximum length of an event's text in characters.
const maxText = 80

// text returns the readable part of an event's data, or "".
func (e Event) text() string {
	data := e.Data
	switch e.Type {
	case separator:
		return ""
	case eventTag: // number and size
		data = data[min(8, len(data)):]
	case efiVariables, efiBoot, efiBoot2, efiAuthority:
		r := &reader{rest: data}
		r.bytes(16) // the owner of the variable
		length, _ := r.uint64(), r.uint64()
		if length > uint64(len(data)) {
			return ""
		}
		data = r.bytes(2 * int(length))
	}
	return readable(data)
}

// readable returns a text in ASCII or UTF-16, or "" for other data.
func readable(data []byte) string {
	text := strings.TrimRight(string(data), "\x00")
	if len(data) >= 2 && len(data)%2 == 0 && data[1] == 0 {
		var units []uint16
		for i := 0; i < len(data) && i < 2*maxText; i += 2 {
			units = append(units, binary.LittleEndian.Uint16(data[i:]))
		}
		text = strings.TrimRight(string(utf16.Decode(units)), "\x00")
	}
	for _, r := range text {
		if r < ' ' || r > '~' {
			return ""
		}
	}
	return text[:min(len(text), maxText)]
}

// reader reads numbers of the log, which are little-endian. After a failure it returns zeros.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) bytes(size int) []byte {
	if r.failed || size < 0 || size > len(r.rest) {
		r.failed = true
		return nil
	}
	part := r.rest[:size]
	r.rest = r.rest[size:]
	return part
}

func (r *reader) uint16() uint16 {
	if part := r.bytes(2); part != nil {
		return binary.LittleEndian.Uint16(part)
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if part := r.bytes(4); part != nil {
		return binary.LittleEndian.Uint32(part)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if part := r.bytes(8); part != nil {
		return binary.LittleEndian.Uint64(part)
	}
	return 0
}
