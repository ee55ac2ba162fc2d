// Package message has the messages between the process that asks time servers and the one that sets
// the clock. They alternate: each Round has an Answer.
package message

import (
	"encoding/binary"
	"errors"
	"time"

	"lkt/ntp/agree"
)

const (
	// MaxClocks is the maximum number of servers and of clocks in a round.
	MaxClocks = 64
	// maxOffset and maxDistance keep sums of clocks within a time.Duration.
	maxOffset   = 140 * 365 * 24 * time.Hour
	maxDistance = time.Minute

	clockSize  = 16
	roundSize  = 3
	answerSize = 10

	kindRound  = 1
	kindAnswer = 2
)

// Round has the clocks of the servers that answered, and the number of all servers.
type Round struct {
	Servers int
	Clocks  []agree.Clock
}

// Answer tells whether the clock is set, and when to ask next.
type Answer struct {
	Agreed   bool
	Interval time.Duration
}

// Encode returns the message in its wire form.
func (r Round) Encode() []byte {
	b := []byte{kindRound, byte(r.Servers), byte(len(r.Clocks))}
	for _, c := range r.Clocks {
		b = binary.BigEndian.AppendUint64(b, uint64(c.Offset))
		b = binary.BigEndian.AppendUint64(b, uint64(c.Distance))
	}
	return b
}

// DecodeRound parses a Round. The process that sends it reads packets of the network, so it may
// have any content.
func DecodeRound(b []byte) (Round, error) {
	if len(b) < roundSize || b[0] != kindRound || b[1] > MaxClocks || b[2] > b[1] || len(b) != roundSize+int(b[2])*clockSize {
		return Round{}, errors.New("malformed round")
	}
	r := Round{Servers: int(b[1])}
	for b = b[roundSize:]; len(b) > 0; b = b[clockSize:] {
		c := agree.Clock{Offset: duration(b), Distance: duration(b[8:])}
		if c.Offset < -maxOffset || c.Offset > maxOffset || c.Distance <= 0 || c.Distance > maxDistance {
			return Round{}, errors.New("impossible clock")
		}
		r.Clocks = append(r.Clocks, c)
	}
	return r, nil
}

// Encode returns the message in its wire form.
func (a Answer) Encode() []byte {
	b := []byte{kindAnswer, 0}
	if a.Agreed {
		b[1] = 1
	}
	return binary.BigEndian.AppendUint64(b, uint64(a.Interval))
}

// DecodeAnswer parses an Answer.
func DecodeAnswer(b []byte) (Answer, error) {
	if len(b) != answerSize || b[0] != kindAnswer || b[1] > 1 {
		return Answer{}, errors.New("malformed answer")
	}
	return Answer{Agreed: b[1] == 1, Interval: duration(b[2:])}, nil
}

func duration(b []byte) time.Duration { return time.Duration(binary.BigEndian.Uint64(b)) }
