package channel

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"lkt/dhcp/config6"
	"lkt/sandbox"
)

func FuzzDecode(f *testing.F) {
	for _, message := range []interface{ Encode() []byte }{
		Frame{Interface: 2, Type: 0x800, Checksum: true, Packet: []byte("packet")}, Tick{}, Wait{time.Second}, Lost{Interface: 2, Reason: 1},
		Link{Interface: 1, Carrier: true, LinkLocal: netip.MustParseAddr("fe80::1")}, Stop{}, Stopped{}, Claimed{Interface: 1},
		Duplicate{Interface: 1, Address: netip.MustParseAddr("2001:db8::1")}, Paused{Interface: 1, For: time.Hour},
		Configure{Interface: 1, Config: &config6.Config{MTU: 1400, Domains: []string{"a.b"}}},
	} {
		f.Add(message.Encode())
	}
	f.Add([]byte{kindBound, 0, 0, 0, 2, 0, 1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > sandbox.MaxMessage {
			return
		}
		message, err := Decode(b)
		if err != nil {
			return
		}
		// A message has one form, except for its flags.
		again := message.(interface{ Encode() []byte }).Encode()
		second, err := Decode(again)
		if err != nil || !bytes.Equal(second.(interface{ Encode() []byte }).Encode(), again) {
			t.Fatalf("%+v: %v", message, err)
		}
	})
}
