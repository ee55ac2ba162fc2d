package message

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

var examples = []Message{
	&Accepted{1, "192.0.2.1:5", "192.0.2.2:22"},
	&Grant{ID: 7, User: "root", Key: "ssh-ed25519 SHA256:x", Command: "date", Terminal: true, Destinations: []string{"a:1"}},
	&Verify{User: "root", Algorithm: "ssh-ed25519", Key: []byte{1}, Format: "ssh-ed25519", Signature: []byte{2, 3}},
	&Start{Channel: 3, Kind: Exec, Command: "id", Environment: []string{"LANG=C"}, HasTerminal: true, Terminal: "xterm", Modes: []byte{0}, Size: Size{80, 24, 0, 0}},
	&Verdict{OK: true, Terminal: true},
	&Exited{4, 1, "TERM"},
	&Close{5},
}

func TestDecodeReturnsWhatWasEncoded(t *testing.T) {
	for _, m := range examples {
		b, err := Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Encode(got); err != nil || !bytes.Equal(again, b) || reflect.TypeOf(got) != reflect.TypeOf(m) {
			t.Errorf("%+v is not %+v, %v", got, m, err)
		}
	}
}

func TestDecodeRejectsInvalidMessages(t *testing.T) {
	for _, m := range examples {
		b, _ := Encode(m)
		for _, wrong := range [][]byte{b[:len(b)-1], append(bytes.Clone(b), 0)} {
			if got, err := Decode(wrong); err == nil {
				t.Errorf("%x decodes to %+v", wrong, got)
			}
		}
	}
	for _, wrong := range []string{"", "\xff", "\x02\x00", "\x09\x00\x00\x00\x02", "\x0f\xff"} {
		if got, err := Decode([]byte(wrong)); err == nil {
			t.Errorf("%q decodes to %+v", wrong, got)
		}
	}
}

func TestEncodeRejectsFieldsOverTheirLimits(t *testing.T) {
	for _, m := range []Message{
		&Sign{make([]byte, 65)},
		&Query{User: strings.Repeat("a", maxUser+1)},
		&Query{User: "a\x00b"},
		&Start{Kind: 3},
		&Start{Environment: make([]string, 65)},
	} {
		if _, err := Encode(m); err == nil {
			t.Errorf("%+v encodes", m)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, m := range examples {
		b, err := Encode(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			return
		}
		if again, err := Encode(m); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x encodes to %x, %v", b, again, err)
		}
	})
}
