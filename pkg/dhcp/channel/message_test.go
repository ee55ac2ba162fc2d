package channel

import (
	"bytes"
	"testing"
	"time"

	"lkt/sandbox"
)

func FuzzDecode(f *testing.F) {
	for _, message := range []interface{ Encode() []byte }{
		Frame{Interface: 2, Type: 0x800, Checksum: true, Packet: []byte("packet")}, Tick{}, Wait{time.Second}, Lost{Interface: 2, Reason: 1},
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
