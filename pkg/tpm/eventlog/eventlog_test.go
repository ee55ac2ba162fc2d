package eventlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"testing"
)

// header is that of a log with digests of SHA-1 and SHA-256.
func header() []byte {
	text := append([]byte(signature), 0, 0, 0, 0, 0, 2, 0, 2, 2, 0, 0, 0, 4, 0, 20, 0, 0x0b, 0, 32, 0, 0)
	b := append([]byte{0, 0, 0, 0, 3, 0, 0, 0}, make([]byte, 20)...)
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(text))), text...)
}

func event(register, kind uint32, measured, data string) []byte {
	b := binary.LittleEndian.AppendUint32(nil, register)
	b = binary.LittleEndian.AppendUint32(b, kind)
	b = append(b, 2, 0, 0, 0, 4, 0)
	b = append(b, make([]byte, 20)...)
	sum := sha256.Sum256([]byte(measured))
	b = append(append(b, 0x0b, 0), sum[:]...)
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(data))), data...)
}

func wide(text string) string {
	var b bytes.Buffer
	for _, c := range text {
		b.Write([]byte{byte(c), byte(c >> 8)})
	}
	return b.String()
}

func TestLogLeadsToRegisters(t *testing.T) {
	log := bytes.Join([][]byte{
		header(), event(0, noAction, "", "StartupLocality\x00\x03"), event(0, 8, "version", wide("1.0")+"\x00\x00"),
		event(4, 5, "Calling EFI Application", "Calling EFI Application"), event(4, separator, "\x00\x00\x00\x00", "\x00\x00\x00\x00"),
	}, nil)
	events, err := Parse(log)
	if err != nil {
		t.Fatal(err)
	}
	fold := func(first byte, measured ...string) (value [32]byte) {
		value[31] = first
		for _, text := range measured {
			sum := sha256.Sum256([]byte(text))
			value = sha256.Sum256(append(value[:], sum[:]...))
		}
		return value
	}
	values := Replay(events)
	if values[0] != fold(3, "version") || values[4] != fold(0, "Calling EFI Application", "\x00\x00\x00\x00") || values[1] != fold(0) {
		t.Errorf("%x", values[:5])
	}
}

func TestEventsAreReadable(t *testing.T) {
	variable := string(make([]byte, 16)) + "\x02\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00" + wide("PK") + "\xff"
	for want, data := range map[string]Event{
		" ACTION Calling":                  {Type: 5, Data: []byte("Calling")},
		" IPL .cmdline":                    {Type: 0xd, Data: []byte(wide(".cmdline\x00"))},
		" EFI_VARIABLE_DRIVER_CONFIG PK":   {Type: efiVariables, Data: []byte(variable)},
		" EVENT_TAG Linux initrd":          {Type: eventTag, Data: []byte("\xec\x22\x3b\x8f\x0d\x00\x00\x00Linux initrd\x00")},
		" ACTION":                          {Type: 5, Data: []byte("\x1b[2J")},
		" EFI_VARIABLE_AUTHORITY":          {Type: efiAuthority, Data: bytes.Repeat([]byte{0xff}, 40)},
		" 0x99":                            {Type: 0x99, Data: []byte{1}},
		" EFI_BOOT_SERVICES_APPLICATION x": {Type: 0x80000003, Data: []byte("x")},
	} {
		if got := data.String(); got != "0 "+string(bytes.Repeat([]byte{'0'}, 64))+want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

func TestInvalidLogs(t *testing.T) {
	good := append(header(), event(4, 5, "x", "x")...)
	if _, err := Parse(good); err != nil {
		t.Fatal(err)
	}
	for length := len(header()) + 1; length < len(good); length++ {
		if _, err := Parse(good[:length]); !errors.Is(err, errShort) {
			t.Errorf("%d bytes: %v", length, err)
		}
	}
	for name, log := range map[string][]byte{
		"empty": {}, "of TPM 1.2": event(4, 5, "x", "x"), "register 24": append(header(), event(24, 5, "x", "x")...),
		"too long": append(header(), make([]byte, MaxSize)...), "without SHA-256": bytes.Replace(header(), []byte{0x0b, 0, 32}, []byte{0x0c, 0, 48}, 1),
	} {
		if events, err := Parse(log); err == nil {
			t.Errorf("%s: %v", name, events)
		}
	}
}

// FuzzParse parses any log, and prints its events in a line each.
func FuzzParse(f *testing.F) {
	f.Add(append(header(), event(4, 5, "x", "Calling")...))
	f.Add(append(header(), event(7, efiVariables, "x", string(make([]byte, 40)))...))
	f.Fuzz(func(t *testing.T, log []byte) {
		events, err := Parse(log)
		if err != nil {
			return
		}
		Replay(events)
		for _, event := range events {
			for _, r := range event.String() {
				if r < ' ' || r > '~' {
					t.Fatalf("%q", event)
				}
			}
		}
	})
}
