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

// answer is a right one.
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

func TestARequestTellsNothing(t *testing.T) {
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

func TestARightAnswerIsRead(t *testing.T) {
	a, err := Parse(answer(), token)
	if err != nil || a.Stratum != 2 || a.Received.Sub(now).Abs() > 2 || a.Sent.Sub(a.Received).Round(time.Microsecond) != time.Millisecond {
		t.Fatalf("%+v, %v", a, err)
	}
	if d := (a.RootDelay - 10*time.Millisecond).Abs(); d > 100*time.Microsecond || a.Precision != time.Second>>23 {
		t.Errorf("%+v", a)
	}
}

func TestWhatCouldNotBeRightIsRefused(t *testing.T) {
	for want, change := range map[string]func([]byte){
		ErrOther.Error():                     func(b []byte) { b[31] ^= 1 },
		"mode 3 of version 4 is no answer":   func(b []byte) { b[0] = 4<<3 | 3 },
		"mode 4 of version 2 is no answer":   func(b []byte) { b[0] = 2<<3 | 4 },
		ErrRefused.Error():                   func(b []byte) { b[1] = 0; copy(b[12:], "DENY") },
		ErrRate.Error():                      func(b []byte) { b[1] = 0; copy(b[12:], "RATE") },
		`the server has no time: "INIT"`:     func(b []byte) { b[1] = 0; copy(b[12:], "INIT") },
		"the server has no time itself":      func(b []byte) { b[1] = 16 },
		"a time is missing":                  func(b []byte) { put(b[32:], 0) },
		"took -1ms to answer":                func(b []byte) { put(b[32:], StampOf(now.Add(2*time.Millisecond))) },
		"took 6.00":                          func(b []byte) { put(b[32:], StampOf(now.Add(-6*time.Second))) },
		"the server's clock was set in the ": func(b []byte) { put(b[16:], StampOf(now.Add(time.Second))) },
		"uncertain by 1.50":                  func(b []byte) { binary.BigEndian.PutUint32(b[8:], 1<<16*3/2) },
		"uncertain by 8.":                    func(b []byte) { binary.BigEndian.PutUint32(b[4:], 16<<16) },
	} {
		b := answer()
		change(b)
		if _, err := Parse(b, token); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	unsynchronised := answer()
	unsynchronised[0] |= 3 << 6
	if _, err := Parse(unsynchronised, token); err == nil {
		t.Error("a server without time is believed")
	}
	if _, err := Parse(answer()[:Size-1], token); err == nil {
		t.Error("half an answer is taken")
	}
	// Whoever does not know the token cannot have a server left out, either.
	forged := answer()
	forged[1] = 0
	copy(forged[12:], "DENY")
	if _, err := Parse(forged, token+1); !errors.Is(err, ErrOther) {
		t.Error(err)
	}
}

func TestTimestampsAreOfTheEraAfterThePivot(t *testing.T) {
	for _, want := range []time.Time{
		pivot, now, time.Date(2036, 2, 7, 6, 28, 15, 0, time.UTC), time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC),
		time.Date(2100, 1, 1, 0, 0, 0, 500_000_000, time.UTC), pivot.Add((era - 1) * time.Second),
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
		if a.Received.Before(pivot) || a.Sent.Before(a.Received) || a.RootDelay < 0 || a.RootDispersion < 0 ||
			a.RootDelay/2+a.RootDispersion > mostDistance || a.Precision <= 0 || a.Stratum < 1 || a.Stratum > 15 {
			t.Fatalf("%+v", a)
		}
	})
}
