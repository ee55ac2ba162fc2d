// Package packet writes the requests of an NTP client and parses the answers: RFC 5905 section 7.3.
package packet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"lkt/epoch"
)

// Size is the size of a packet without extensions and authentication. Further bytes are ignored.
const Size = 48

const (
	version    = 4
	modeClient = 3
	modeServer = 4
	// Limits of a usable server: MAXDISP, and a root distance of 1.5 s as in the reference
	// implementation.
	maxDispersion = 16 * time.Second
	maxDistance   = 1500 * time.Millisecond
	// Maximum time between a request and its answer on the server.
	maxHold = 5 * time.Second
)

// Timestamp is an NTP timestamp: 32 bits of seconds since 1900 and 32 bits of fraction. It wraps in
// 2036.
type Timestamp uint64

// Earliest is a time in the past. Timestamps refer to the 136 years after it.
var Earliest = epoch.Source

const (
	toUnix = 2_208_988_800
	era    = 1 << 32
)

// Time returns the time of the timestamp.
func (t Timestamp) Time() time.Time {
	seconds := int64(t >> 32)
	if first := Earliest.Unix() + toUnix; seconds < first {
		seconds += (first - seconds + era - 1) / era * era
	}
	nanoseconds := (uint64(t) & (1<<32 - 1) * uint64(time.Second)) >> 32
	return time.Unix(seconds-toUnix, int64(nanoseconds))
}

// StampOf returns the timestamp of a time.
func StampOf(t time.Time) Timestamp {
	fraction := uint64(t.Nanosecond()) << 32 / uint64(time.Second)
	return Timestamp(uint64(t.Unix()+toUnix)<<32 | fraction)
}

// Request returns a request, which the server answers with the same token. It discloses nothing
// about this machine, not even its time.
func Request(token Timestamp) []byte {
	b := make([]byte, Size)
	b[0] = version<<3 | modeClient
	binary.BigEndian.PutUint64(b[40:], uint64(token))
	return b
}

// Answer is a plausible answer.
type Answer struct {
	Stratum int
	// Received and Sent are the server's times of the request and of its answer.
	Received, Sent time.Time
	// RootDelay and RootDispersion are relative to the server's reference clock. Precision is that
	// of its own clock.
	RootDelay, RootDispersion, Precision time.Duration
}

// Errors of Parse.
var (
	// ErrOther means that the answer has another token. Anyone may have sent it.
	ErrOther = errors.New("answer to another request")
	// ErrRefused means that the server wants no more requests from this machine.
	ErrRefused = errors.New("the server refuses to answer")
	// ErrRate means that the server wants fewer requests.
	ErrRate = errors.New("the server wants fewer requests")
)

// Parse parses the answer to the request with the token, and rejects implausible answers.
func Parse(b []byte, token Timestamp) (Answer, error) {
	if len(b) < Size {
		return Answer{}, fmt.Errorf("answer too short: %d bytes", len(b))
	}
	if Timestamp(binary.BigEndian.Uint64(b[24:])) != token {
		return Answer{}, ErrOther
	}
	leap, answerVersion, mode, stratum := b[0]>>6, b[0]>>3&7, b[0]&7, b[1]
	switch {
	case mode != modeServer || answerVersion < 3 || answerVersion > version:
		return Answer{}, fmt.Errorf("not an answer: mode %d, version %d", mode, answerVersion)
	case stratum == 0:
		return Answer{}, kiss(string(b[12:16]))
	case stratum > 15 || leap == 3:
		return Answer{}, errors.New("the server is not synchronized")
	}
	received, sent := binary.BigEndian.Uint64(b[32:]), binary.BigEndian.Uint64(b[40:])
	reference := binary.BigEndian.Uint64(b[16:])
	if received == 0 || sent == 0 {
		return Answer{}, errors.New("missing timestamp")
	}
	a := Answer{
		Stratum:        int(stratum),
		Received:       Timestamp(received).Time(),
		Sent:           Timestamp(sent).Time(),
		RootDelay:      short(b[4:]),
		RootDispersion: short(b[8:]),
		Precision:      precision(int8(b[3])),
	}
	switch hold := a.Sent.Sub(a.Received); {
	case hold < 0 || hold > maxHold:
		return Answer{}, fmt.Errorf("the server claims a processing time of %v", hold)
	case int64(sent-reference) < 0:
		return Answer{}, errors.New("the server's reference time is in the future")
	case a.RootDelay >= maxDispersion || a.RootDispersion >= maxDispersion, a.RootDelay/2+a.RootDispersion > maxDistance:
		return Answer{}, fmt.Errorf("the server's root distance is %v", a.RootDelay/2+a.RootDispersion)
	}
	return a, nil
}

// IsNak reports whether b says that the server does not know an NTS cookie (RFC 8915 section 5.7).
func IsNak(b []byte) bool {
	return len(b) >= Size && b[0]&7 == modeServer && b[1] == 0 && string(b[12:16]) == "NTSN"
}

// kiss returns the error for a kiss code (RFC 5905 section 7.4).
func kiss(code string) error {
	switch code {
	case "DENY", "RSTR":
		return ErrRefused
	case "RATE":
		return ErrRate
	}
	return fmt.Errorf("the server sent kiss code %q", code)
}

// short decodes a duration of 16 bits of seconds and 16 bits of fraction.
func short(b []byte) time.Duration {
	return time.Duration(uint64(binary.BigEndian.Uint32(b)) * uint64(time.Second) >> 16)
}

// precision returns 2^exponent seconds, limited to the range from a nanosecond to a second.
func precision(exponent int8) time.Duration {
	if exponent >= 0 {
		return time.Second
	}
	return max(time.Second>>min(-int(exponent), 62), 1)
}
