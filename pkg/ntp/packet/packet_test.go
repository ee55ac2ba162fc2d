package packet

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"
)

const token Timestamp = 0x0123456789abcdef

var now = time.Date(2031, 5, 6, 7, 8, 9, 123456789, time.UTC)

// answer returns a valid answer.
func answer() []byte {
	b := make([]byte, Size)
	b[0], b[1], b[3] = 4<<3|4, 2, 0xe9
	binary.BigEndian.PutUint32(b[4:], 1<<16/100) // 10 ms
	binary.BigEndian.PutUint32(b[8:], 1<<16/200) // 5 ms
	copy(b[12:], "\xc0\x00\x02\x01")
	put(b[16:], StampOf(now.Add(-time.Minute)))
	put(b[24:], token)
	put(b[32:], StampOf(now))
	put(b[40:], StampOf(now.Add(time.Millisecond)))
	return b
}

func put(b []byte, t Timestamp) { binary.BigEndian.PutUint64(b, uint64(t)) }

func TestRequestDisclosesNothing(t *testing.T) {
	b := Request(token)
	if len(b) != Size || b[0] != 0x23 || Timestamp(binary.BigEndian.Uint64(b[40:])) != token {
		t.Errorf("%x", b)
	}
	for _, c := range b[1:40] {
		if c != 0 {
			t.Errorf("%x", b)
		}
	}
}

func TestParse(t *testing.T) {
	a, err := Parse(answer(), token)
	if err != nil || a.Stratum != 2 || a.Received.Sub(now).Abs() > 2 || a.Sent.Sub(a.Received).Round(time.Microsecond) != time.Millisecond {
		t.Fatalf("%+v, %v", a, err)
	}
	if d := (a.RootDelay - 10*time.Millisecond).Abs(); d > 100*time.Microsecond || a.Precision != time.Second>>23 {
		t.Errorf("%+v", a)
	}
}

func TestParseRejectsImplausibleAnswers(t *testing.T) {
	for want, change := range map[string]func([]byte){
		ErrOther.Error():                         func(b []byte) { b[31] ^= 1 },
		"not an answer: mode 3, version 4":       func(b []byte) { b[0] = 4<<3 | 3 },
		"not an answer: mode 4, version 2":       func(b []byte) { b[0] = 2<<3 | 4 },
		ErrRefused.Error():                       func(b []byte) { b[1] = 0; copy(b[12:], "DENY") },
		ErrRate.Error():                          func(b []byte) { b[1] = 0; copy(b[12:], "RATE") },
		`the server sent kiss code "INIT"`:       func(b []byte) { b[1] = 0; copy(b[12:], "INIT") },
		"the server is not synchronized":         func(b []byte) { b[1] = 16 },
		"missing timestamp":                      func(b []byte) { put(b[32:], 0) },
		"processing time of -1ms":                func(b []byte) { put(b[32:], StampOf(now.Add(2*time.Millisecond))) },
		"processing time of 6.00":                func(b []byte) { put(b[32:], StampOf(now.Add(-6*time.Second))) },
		"the server's reference time is in the ": func(b []byte) { put(b[16:], StampOf(now.Add(time.Second))) },
		"root distance is 1.50":                  func(b []byte) { binary.BigEndian.PutUint32(b[8:], 1<<16*3/2) },
		"root distance is 8.":                    func(b []byte) { binary.BigEndian.PutUint32(b[4:], 16<<16) },
	} {
		b := answer()
		change(b)
		if _, err := Parse(b, token); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	nak := answer()
	nak[1] = 0
	copy(nak[12:], "NTSN")
	if !IsNak(nak) || IsNak(answer()) || IsNak(nak[:Size-1]) {
		t.Error("NTS NAK")
	}
	unsynchronized := answer()
	unsynchronized[0] |= 3 << 6
	if _, err := Parse(unsynchronized, token); err == nil {
		t.Error("accepted an unsynchronized server")
	}
	if _, err := Parse(answer()[:Size-1], token); err == nil {
		t.Error("accepted a truncated answer")
	}
	// An attacker who does not know the token cannot exclude a server either.
	forged := answer()
	forged[1] = 0
	copy(forged[12:], "DENY")
	if _, err := Parse(forged, token+1); !errors.Is(err, ErrOther) {
		t.Error(err)
	}
}

func TestTimestampEra(t *testing.T) {
	for _, want := range []time.Time{
		Earliest, now, time.Date(2036, 2, 7, 6, 28, 15, 0, time.UTC), time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC),
		time.Date(2100, 1, 1, 0, 0, 0, 500_000_000, time.UTC), Earliest.Add((era - 1) * time.Second),
	} {
		if got := StampOf(want).Time(); got.Sub(want).Abs() > 2 {
			t.Errorf("%v: %v", want, got.UTC())
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(answer())
	f.Fuzz(func(t *testing.T, b []byte) {
		asked := token
		if len(b) >= Size {
			asked = Timestamp(binary.BigEndian.Uint64(b[24:]))
		}
		a, err := Parse(b, asked)
		if err != nil {
			return
		}
		if a.Received.Before(Earliest) || a.Sent.Before(a.Received) || a.RootDelay < 0 || a.RootDispersion < 0 ||
			a.RootDelay/2+a.RootDispersion > maxDistance || a.Precision <= 0 || a.Stratum < 1 || a.Stratum > 15 {
			t.Fatalf("%+v", a)
		}
	})
}
