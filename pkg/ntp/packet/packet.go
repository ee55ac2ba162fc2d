// Package packet makes the requests of an NTP client and reads the answers: RFC 5905, section 7.3.
package packet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Size is that of a packet without extensions and authentication. What follows it in an answer is not looked at.
const Size = 48

const (
	version    = 4
	modeClient = 3
	modeServer = 4
	// A server that knows no better than this knows nothing: MAXDISP, and a root distance of 1.5 s as in the reference implementation.
	mostDispersion = 16 * time.Second
	mostDistance   = 1500 * time.Millisecond
	// What a server may take between a request and its answer.
	mostHold = 5 * time.Second
)

// Timestamp is NTP's: seconds since 1900 and their fractions, 32 bits of each. It turns over in 2036.
type Timestamp uint64

// pivot is a time that has gone by. Timestamps are of the 136 years after it.
var pivot = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

const (
	toUnix = 2_208_988_800
	era    = 1 << 32
)

// Time is the time that a timestamp stands for.
func (t Timestamp) Time() time.Time {
	seconds := int64(t >> 32)
	if first := pivot.Unix() + toUnix; seconds < first {
		seconds += (first - seconds + era - 1) / era * era
	}
	nanoseconds := (uint64(t) & (1<<32 - 1) * uint64(time.Second)) >> 32
	return time.Unix(seconds-toUnix, int64(nanoseconds))
}

// StampOf is the timestamp of a time.
func StampOf(t time.Time) Timestamp {
	fraction := uint64(t.Nanosecond()) << 32 / uint64(time.Second)
	return Timestamp(uint64(t.Unix()+toUnix)<<32 | fraction)
}

// Request is one that a server answers with the same token. It tells nothing of this machine, not even its time.
func Request(token Timestamp) []byte {
	b := make([]byte, Size)
	b[0] = version<<3 | modeClient
	binary.BigEndian.PutUint64(b[40:], uint64(token))
	return b
}

// Answer is one that could be right.
type Answer struct {
	Stratum int
	// Received and Sent are the server's times of the request and of its answer.
	Received, Sent time.Time
	// RootDelay and RootDispersion are between the server and what it has its time from; Precision is that of its clock.
	RootDelay, RootDispersion, Precision time.Duration
}

// Errors of answers.
var (
	// ErrOther is of an answer to another request, or to none: it may be anybody's.
	ErrOther = errors.New("it answers another request")
	// ErrRefused says that the server wants no more requests of this machine.
	ErrRefused = errors.New("the server refuses to answer")
	// ErrRate says that the server wants fewer requests.
	ErrRate = errors.New("the server wants fewer requests")
)

// Parse reads the answer to the request with the token, and refuses what could not be right. Only those with the token are believed.
func Parse(b []byte, token Timestamp) (Answer, error) {
	if len(b) < Size {
		return Answer{}, fmt.Errorf("%d bytes are no answer", len(b))
	}
	if Timestamp(binary.BigEndian.Uint64(b[24:])) != token {
		return Answer{}, ErrOther
	}
	leap, spoken, mode, stratum := b[0]>>6, b[0]>>3&7, b[0]&7, b[1]
	switch {
	case mode != modeServer || spoken < 3 || spoken > version:
		return Answer{}, fmt.Errorf("mode %d of version %d is no answer", mode, spoken)
	case stratum == 0:
		return Answer{}, kiss(string(b[12:16]))
	case stratum > 15 || leap == 3:
		return Answer{}, errors.New("the server has no time itself")
	}
	received, sent := binary.BigEndian.Uint64(b[32:]), binary.BigEndian.Uint64(b[40:])
	reference := binary.BigEndian.Uint64(b[16:])
	if received == 0 || sent == 0 {
		return Answer{}, errors.New("a time is missing")
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
	case hold < 0 || hold > mostHold:
		return Answer{}, fmt.Errorf("the server says that it took %v to answer", hold)
	case int64(sent-reference) < 0:
		return Answer{}, errors.New("the server's clock was set in the future")
	case a.RootDelay >= mostDispersion || a.RootDispersion >= mostDispersion, a.RootDelay/2+a.RootDispersion > mostDistance:
		return Answer{}, fmt.Errorf("the server's time is uncertain by %v", a.RootDelay/2+a.RootDispersion)
	}
	return a, nil
}

// kiss is what a server says that has no time for this machine: section 7.4.
func kiss(code string) error {
	switch code {
	case "DENY", "RSTR":
		return ErrRefused
	case "RATE":
		return ErrRate
	}
	return fmt.Errorf("the server has no time: %q", code)
}

// short is a duration of 16 bits of seconds and 16 of their fractions.
func short(b []byte) time.Duration {
	return time.Duration(uint64(binary.BigEndian.Uint32(b)) * uint64(time.Second) >> 16)
}

// precision is 2 to the power of exponent, in seconds, at least a nanosecond and at most a second.
func precision(exponent int8) time.Duration {
	if exponent >= 0 {
		return time.Second
	}
	return max(time.Second>>min(-int(exponent), 62), 1)
}
