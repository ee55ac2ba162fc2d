package packet

import (
	"bytes"
	"net/netip"
	"testing"
)

var client = HardwareAddr{2, 0, 0, 0, 0, 1}

// reply returns a server message with the given bytes as options.
func reply(options ...byte) []byte {
	m := Message{XID: 7, Hardware: client, Your: netip.MustParseAddr("10.0.2.15")}
	b := m.Marshal()[:headerSize]
	b[0] = bootReply
	return append(b, options...)
}

func TestParseReadsWhatMarshalWrites(t *testing.T) {
	m := Message{
		Type: Discover, XID: 0x01020304, Secs: 9, Broadcast: true, Hardware: client,
		Client:  netip.MustParseAddr("192.0.2.1"),
		Options: map[byte][]byte{OptionHostName: []byte("lkt"), OptionClientID: bytes.Repeat([]byte{1}, 300)},
	}
	b := m.Marshal()
	if len(b) < minSize {
		t.Errorf("%d bytes", len(b))
	}
	b[0] = bootReply
	got, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if got.Type != m.Type || got.XID != m.XID || got.Secs != 9 || !got.Broadcast || got.Client != m.Client || got.Hardware != client {
		t.Errorf("got %+v", got)
	}
	if string(got.Options[OptionHostName]) != "lkt" || len(got.Options[OptionClientID]) != 300 {
		t.Errorf("options %v", got.Options)
	}
}

func TestParseRejectsInvalidMessages(t *testing.T) {
	request := (&Message{Type: Discover}).Marshal()
	for name, b := range map[string][]byte{
		"empty":            nil,
		"short":            reply()[:239],
		"request":          request,
		"no type":          reply(optionEnd),
		"type 0":           reply(optionMessageType, 1, 0, optionEnd),
		"type 9":           reply(optionMessageType, 1, 9, optionEnd),
		"long type":        reply(optionMessageType, 2, 2, 2, optionEnd),
		"truncated option": reply(optionMessageType, 1, 2, OptionRouters, 4, 1, 2),
		"no length":        reply(optionMessageType, 1, 2, OptionRouters),
		"bad overload":     reply(optionMessageType, 1, 2, optionOverload, 1, 4, optionEnd),
		"double overload":  reply(optionMessageType, 1, 2, optionOverload, 1, 1, optionOverload, 1, 1, optionEnd),
	} {
		if m, err := Parse(b); err == nil {
			t.Errorf("%s: got %+v", name, m)
		}
	}
}

func TestParseReadsOverloadedOptions(t *testing.T) {
	b := reply(optionMessageType, 1, 2, optionOverload, 1, 3, OptionHostName, 1, 'a', optionEnd)
	copy(b[108:], []byte{OptionHostName, 1, 'b', optionOverload, 1, 3, optionEnd})
	copy(b[44:], []byte{optionPad, OptionHostName, 1, 'c', optionEnd})
	m, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(m.Options[OptionHostName]); got != "abc" {
		t.Errorf("got %q", got)
	}
}

func TestUnwrapServerPacket(t *testing.T) {
	b := serverPacket([]byte("hello"))
	got, err := Unwrap(b, true)
	if err != nil || string(got) != "hello" {
		t.Fatalf("got %q, %v", got, err)
	}
	for at := range b {
		bad := bytes.Clone(b)
		bad[at] ^= 0x55
		if got, err := Unwrap(bad, true); err == nil {
			t.Errorf("byte %d changed: got %q", at, got)
		}
	}
	if _, err := Unwrap(append(b, 0, 0, 0), true); err != nil {
		t.Errorf("with Ethernet padding: %v", err)
	}
	for size := range b {
		if _, err := Unwrap(b[:size], true); err == nil {
			t.Errorf("truncated to %d bytes: accepted", size)
		}
	}
}

func TestUnwrapIgnoresIncompleteChecksum(t *testing.T) {
	b := serverPacket([]byte("hello"))
	b[len(b)-1] ^= 1
	if _, err := Unwrap(b, false); err != nil {
		t.Error(err)
	}
}

func serverPacket(payload []byte) []byte {
	b := Wrap(netip.MustParseAddr("10.0.2.2"), netip.MustParseAddr("255.255.255.255"), payload)
	// Swapped ports have the same checksum.
	b[21], b[23] = ServerPort, ClientPort
	return b
}

func FuzzParse(f *testing.F) {
	f.Add(serverPacket(reply(optionMessageType, 1, 2, OptionRouters, 4, 10, 0, 2, 2, optionEnd)))
	f.Add(serverPacket(reply(optionMessageType, 1, 5, optionOverload, 1, 3, optionEnd)))
	f.Fuzz(func(t *testing.T, b []byte) {
		payload, err := Unwrap(b, false)
		if err != nil {
			payload = b
		}
		m, err := Parse(payload)
		if err != nil {
			return
		}
		again := m.Marshal()
		again[0] = bootReply
		other, err := Parse(again)
		if err != nil {
			t.Fatal(err)
		}
		if other.Type != m.Type || other.Your != m.Your || len(other.Options) != len(nonEmpty(m.Options)) {
			t.Fatalf("%+v is not %+v", other, m)
		}
		for code, value := range nonEmpty(m.Options) {
			if !bytes.Equal(other.Options[code], value) {
				t.Fatalf("option %d: %v is not %v", code, other.Options[code], value)
			}
		}
	})
}

func nonEmpty(options map[byte][]byte) map[byte][]byte {
	found := map[byte][]byte{}
	for code, value := range options {
		if len(value) > 0 {
			found[code] = value
		}
	}
	return found
}
