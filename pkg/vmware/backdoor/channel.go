package backdoor

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Protocol is what a channel is for.
type Protocol uint32

const (
	// TCLO is for requests of the host.
	TCLO Protocol = 0x4f4c4354
	// RPCI is for requests to the host.
	RPCI Protocol = 0x49435052
)

const (
	commandMessage = 30
	// cookieFlag asks for a secret that keeps other programs out of the channel.
	cookieFlag = 1 << 31
)

// Kinds of requests, in the upper half of CX.
const (
	requestOpen = iota
	requestSendSize
	requestSendPayload
	requestReceiveSize
	requestReceivePayload
	requestReceiveStatus
	requestClose
)

// Bits of the host's status, in the upper half of CX.
const (
	statusSuccess    = 0x01
	statusMessage    = 0x02
	statusCheckpoint = 0x10
)

const (
	// MaxMessage is the size of the largest message, in both directions. It is VMware's.
	MaxMessage = 64 << 10
	// maxAttempts bounds how often a message is transferred that the host interrupts.
	maxAttempts = 8
)

var (
	errFailed = errors.New("the host failed the call")
	// errCheckpoint means that the host took or restored a snapshot during the transfer.
	errCheckpoint = errors.New("a snapshot interrupted the message")
)

// Channel is a connection to the host.
type Channel struct {
	call      Port
	id        uint32
	high, low uint32
}

// Open opens a channel.
func Open(call Port, protocol Protocol) (*Channel, error) {
	c := &Channel{call: call}
	r, err := c.request(requestOpen, uint32(protocol)|cookieFlag)
	if err != nil {
		return nil, fmt.Errorf("open a channel: %w", err)
	}
	c.id, c.high, c.low = r.DX>>16, r.SI, r.DI
	return c, nil
}

// Close closes the channel. The host may have closed it already.
func (c *Channel) Close() error {
	_, err := c.request(requestClose, 0)
	return err
}

// request makes a call for the channel, and returns what the host answers if it succeeds.
func (c *Channel) request(kind, value uint32) (Registers, error) {
	r := Registers{AX: magic, BX: value, CX: kind<<16 | commandMessage, DX: c.id<<16 | port, SI: c.high, DI: c.low}
	if err := c.call(&r); err != nil {
		return r, err
	}
	switch status := r.CX >> 16; {
	case status&statusSuccess != 0:
		return r, nil
	case status&statusCheckpoint != 0:
		return r, errCheckpoint
	default:
		return r, errFailed
	}
}

// Send sends a message.
func (c *Channel) Send(message []byte) error {
	if len(message) > MaxMessage {
		return fmt.Errorf("a message of %d bytes is too long", len(message))
	}
	_, err := retry(func() ([]byte, error) { return nil, c.send(message) })
	return err
}

func (c *Channel) send(message []byte) error {
	if _, err := c.request(requestSendSize, uint32(len(message))); err != nil {
		return err
	}
	for len(message) > 0 {
		var part [4]byte
		n := copy(part[:], message)
		message = message[n:]
		if _, err := c.request(requestSendPayload, binary.LittleEndian.Uint32(part[:])); err != nil {
			return err
		}
	}
	return nil
}

// Receive returns the host's message, or nil if it has none.
func (c *Channel) Receive() ([]byte, error) {
	return retry(c.receive)
}

func (c *Channel) receive() ([]byte, error) {
	r, err := c.request(requestReceiveSize, 0)
	if err != nil || r.CX>>16&statusMessage == 0 {
		return nil, err
	}
	size := r.BX
	if r.DX>>16 != requestSendSize || size > MaxMessage {
		// The host learns that its message was not taken.
		_, _ = c.request(requestReceivePayload, 0)
		return nil, fmt.Errorf("the host announced an invalid message of %d bytes", size)
	}
	message := make([]byte, 0, size+3)
	for uint32(len(message)) < size {
		r, err := c.request(requestReceivePayload, statusSuccess)
		if err != nil {
			return nil, err
		}
		if r.DX>>16 != requestSendPayload {
			return nil, errors.New("the host sent an invalid part of a message")
		}
		message = binary.LittleEndian.AppendUint32(message, r.BX)
	}
	if _, err := c.request(requestReceiveStatus, statusSuccess); err != nil {
		return nil, err
	}
	return message[:size], nil
}

// retry transfers a message again after a checkpoint.
func retry(transfer func() ([]byte, error)) (message []byte, err error) {
	for range maxAttempts {
		if message, err = transfer(); !errors.Is(err, errCheckpoint) {
			break
		}
	}
	return message, err
}
