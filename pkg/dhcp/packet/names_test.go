package packet

import (
	"slices"
	"strings"
	"testing"
)

func TestNames(t *testing.T) { // RFC 3397
	for text, want := range map[string]string{
		"": "",
		"\x03eng\x05apple\x03com\x00\x09marketing\xc0\x04": "eng.apple.com marketing.apple.com",
		"\x01a\x00\x01b\xc0\x00\x01c\xc0\x03":              "a b.a c.b.a",
	} {
		names, err := Names([]byte(text))
		if err != nil || strings.Join(names, " ") != want {
			t.Errorf("%q: %q, %v", text, names, err)
		}
	}
	for _, text := range []string{
		"\x03ab", "\x01a", "\xc0", "\xc0\x00", "\x01a\xc0\x00", "\x01a\xc0\x05\x00", "\x40", "\x01a\x00\xc0\x03",
		strings.Repeat("\x3f"+strings.Repeat("a", 63), 5) + "\x00", strings.Repeat("\x01a\x00", 33),
	} {
		if names, err := Names([]byte(text)); err == nil {
			t.Errorf("%q: %q", text, names)
		}
	}
}

func FuzzNames(f *testing.F) {
	f.Add([]byte("\x03eng\x05apple\x03com\x00\x09marketing\xc0\x04"))
	f.Fuzz(func(t *testing.T, b []byte) {
		names, err := Names(b)
		if err == nil && slices.ContainsFunc(names, func(name string) bool { return len(name) > 300 }) {
			t.Fatalf("%q", names)
		}
	})
}
