package main

import (
	"encoding/binary"
	"strings"
	"testing"
)

func TestParseRules(t *testing.T) {
	s, err := parseRules("## First rule\n-D\n\n-b 16384\n--backlog_wait_time 5\n-f 2\n-r 100\n")
	want := status{mask: 0x3f, enabled: 1, failure: 2, rateLimit: 100, backlogLimit: 16384, waitTime: 5}
	if err != nil || s != want {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := parseRules(""); err != nil || s != defaultStatus {
		t.Errorf("%+v, %v", s, err)
	}
	for text, want := range map[string]string{
		"-D\n-w /etc -p wa": ":2: -w is not supported", "-b": ":1: -b needs one number", "-f 3": "from 0 to 2", "-b -1": "from 0 to",
	} {
		if _, err := parseRules(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestRequestHasTheFieldsOfTheKernel(t *testing.T) {
	s := defaultStatus
	s.pid = 7
	b := s.request()
	if len(b) != 56 || binary.NativeEndian.Uint32(b) != 56 || binary.NativeEndian.Uint16(b[4:]) != 1001 {
		t.Fatalf("%x", b)
	}
	for offset, want := range map[int]uint32{16: 0x37, 20: 1, 24: 1, 28: 7, 32: 0, 36: 8192, 52: 0} {
		if got := binary.NativeEndian.Uint32(b[offset:]); got != want {
			t.Errorf("at %d: %d", offset, got)
		}
	}
}

func encode(kind uint16, text string) []byte {
	b := make([]byte, 16)
	binary.NativeEndian.PutUint16(b[4:], kind)
	return append(b, text...)
}

func TestRecord(t *testing.T) {
	for want, data := range map[string][]byte{
		"type=SECCOMP msg=audit(1.2:3): pid=1\n":     encode(1326, "audit(1.2:3): pid=1\x00"),
		"type=UNKNOWN[1999] msg=audit(1.2:3): a b\n": encode(1999, "audit(1.2:3): a\nb\n"),
		"": encode(1000, "status"),
	} {
		if got := record(data); got != want {
			t.Errorf("%q", got)
		}
	}
}

// FuzzRecord prints one line for any message.
func FuzzRecord(f *testing.F) {
	f.Add(encode(1300, "audit(1.2:3): arch=c000003e"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if line := record(data); line != "" && (strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n")) {
			t.Fatalf("%q", line)
		}
	})
}
