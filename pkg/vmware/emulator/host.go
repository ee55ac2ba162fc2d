// Package emulator plays VMware for a program in tests, as QEMU lacks its messages. It follows the
// program with ptrace(2), answers its accesses to the I/O port, and makes the processor look like
// VMware's. The tests also run open-vm-tools with it, so that it does not share this program's
// mistakes.
package emulator

import (
	"encoding/binary"
	"slices"
	"strings"
	"sync"

	"lkt/vmware/backdoor"
)

const (
	magic          = 0x564d5868
	tclo           = 0x4f4c4354
	rpci           = 0x49435052
	success        = 1
	message        = 2
	commandVersion = 10
	commandMessage = 30
	// version is that of the protocol, and server the type of ESXi.
	version, server = 6, 2
	maxSize         = 64 << 10
)

// Kinds of calls about messages.
const (
	kindOpen = iota
	kindSendSize
	kindSendPart
	kindReceiveSize
	kindReceivePart
	kindReceiveStatus
	kindClose
)

// Exchange is a message of the host and the program's answer.
type Exchange struct{ Message, Answer string }

// Host is the host's side of the conversation.
type Host struct {
	// Script are the messages to send, in order, each after the answer to the one before.
	Script []string
	// Refuse are the beginnings of requests that this host does not know.
	Refuse []string
	// Facts are the values of info-get and info-set, by name.
	Facts map[string]string
	// IsRestricted means that accesses to the port fault, as with
	// monitor_control.restrict_backdoor.
	IsRestricted bool
	// Spoil may change the answer to a call, as a hostile host would.
	Spoil func(call backdoor.Registers, answer *backdoor.Registers)

	lock     sync.Mutex
	channels map[uint32]*channel
	opened   uint32
	asked    []string
	done     []Exchange
	idle     int
	violated []string
	// pending is the message that the program is to answer.
	pending *string
}

type channel struct {
	protocol  uint32
	high, low uint32
	in        []byte
	size      int
	// out is the message for the program, until the program confirms it, and rest what it lacks.
	out, rest []byte
	isSending bool
}

// Asked returns the requests of the program.
func (h *Host) Asked() []string {
	h.lock.Lock()
	defer h.lock.Unlock()
	return slices.Clone(h.asked)
}

// Exchanges returns the messages that the program has answered.
func (h *Host) Exchanges() []Exchange {
	h.lock.Lock()
	defer h.lock.Unlock()
	return slices.Clone(h.done)
}

// Violations returns what the program did against the protocol.
func (h *Host) Violations() []string {
	h.lock.Lock()
	defer h.lock.Unlock()
	return slices.Clone(h.violated)
}

// Idle returns how often the program has asked for a message when there was none.
func (h *Host) Idle() int {
	h.lock.Lock()
	defer h.lock.Unlock()
	return h.idle
}

// CloseChannels closes all channels, as a host does that resumes a machine.
func (h *Host) CloseChannels() {
	h.lock.Lock()
	defer h.lock.Unlock()
	clear(h.channels)
	h.pending = nil
}

// Push appends to the script.
func (h *Host) Push(messages ...string) {
	h.lock.Lock()
	defer h.lock.Unlock()
	h.Script = append(h.Script, messages...)
}

// Call answers a call. It is a [backdoor.Port].
func (h *Host) Call(r *backdoor.Registers) error {
	call := *r
	h.answer(r)
	if h.Spoil != nil {
		h.Spoil(call, r)
	}
	return nil
}

func (h *Host) answer(r *backdoor.Registers) {
	h.lock.Lock()
	defer h.lock.Unlock()
	switch command := r.CX & 0xffff; {
	case r.AX != magic:
		h.violate("a call without the magic number")
	case command == commandVersion:
		r.AX, r.BX, r.CX = version, magic, server
		return
	case command == commandMessage:
		h.message(r)
		return
	}
	r.AX = 0xffffffff
}

func (h *Host) violate(text string) { h.violated = append(h.violated, text) }

// message answers a call about messages. Until it succeeds, the status is failure.
func (h *Host) message(r *backdoor.Registers) {
	kind, id := r.CX>>16, r.DX>>16
	r.CX &= 0xffff
	succeed := func(status, answered uint32) {
		r.CX |= (success | status) << 16
		r.DX = answered<<16 | r.DX&0xffff
	}
	if kind == kindOpen {
		h.open(r, succeed)
		return
	}
	c, found := h.channels[id]
	if !found || r.SI != c.high || r.DI != c.low {
		if found {
			h.violate("a wrong cookie")
		}
		return
	}
	switch kind {
	case kindSendSize:
		if r.BX > maxSize {
			h.violate("an oversized message")
			return
		}
		c.in, c.size, c.isSending = nil, int(r.BX), true
		succeed(0, id)
		h.complete(c)
	case kindSendPart:
		if !c.isSending {
			h.violate("a part of no message")
			return
		}
		c.in = binary.LittleEndian.AppendUint32(c.in, r.BX)
		succeed(0, id)
		h.complete(c)
	case kindReceiveSize:
		h.next(c)
		if c.out == nil {
			succeed(0, id)
			return
		}
		c.rest = c.out
		r.BX = uint32(len(c.out))
		succeed(message, kindSendSize)
	case kindReceivePart:
		if r.BX&success == 0 {
			// The program does not take the message.
			c.out, h.pending = nil, nil
			succeed(0, id)
			return
		}
		var part [4]byte
		if len(c.rest) == 0 {
			h.violate("a read beyond the message")
			return
		}
		c.rest = c.rest[copy(part[:], c.rest):]
		r.BX = binary.LittleEndian.Uint32(part[:])
		succeed(0, kindSendPart)
	case kindReceiveStatus:
		if len(c.rest) > 0 {
			h.violate("a message was read in part")
		}
		c.out = nil
		succeed(0, id)
	case kindClose:
		delete(h.channels, id)
		succeed(0, id)
	}
}

func (h *Host) open(r *backdoor.Registers, succeed func(status, answered uint32)) {
	protocol := r.BX &^ (1 << 31)
	if protocol != tclo && protocol != rpci {
		h.violate("an unknown protocol")
		return
	}
	if h.channels == nil {
		h.channels = map[uint32]*channel{}
	}
	if h.Facts == nil {
		h.Facts = map[string]string{}
	}
	h.opened++
	id := h.opened % 128
	// Cookies of Knuth's multiplicative hash differ in all bytes.
	c := &channel{protocol: protocol, high: h.opened * 2654435761, low: h.opened * 2246822519}
	h.channels[id] = c
	r.SI, r.DI = c.high, c.low
	succeed(0, id)
}

// complete handles a message of the program of which all parts have arrived.
func (h *Host) complete(c *channel) {
	if len(c.in) < c.size {
		return
	}
	text := string(c.in[:c.size])
	c.isSending = false
	if c.protocol == rpci {
		c.out = []byte(h.ask(text))
		return
	}
	if h.pending == nil {
		if text != "" {
			h.violate("an answer to no message")
		}
		return
	}
	h.done = append(h.done, Exchange{*h.pending, text})
	h.pending = nil
}

// next lets a channel have the next message of the script.
func (h *Host) next(c *channel) {
	if c.protocol != tclo || c.out != nil || h.pending != nil {
		return
	}
	if len(h.Script) == 0 {
		h.idle++
		return
	}
	text := h.Script[0]
	h.Script = h.Script[1:]
	h.pending, c.out = &text, []byte(text)
}

// ask answers a request of the program.
func (h *Host) ask(text string) string {
	h.asked = append(h.asked, text)
	for _, start := range h.Refuse {
		if strings.HasPrefix(text, start) {
			return "0 Unknown command"
		}
	}
	words := strings.SplitN(strings.TrimRight(text, "\x00"), " ", 3)
	switch words[0] {
	case "info-set":
		if len(words) != 3 {
			return "0 Two arguments expected"
		}
		h.Facts[words[1]] = words[2]
		return "1 "
	case "info-get":
		value, found := h.Facts[strings.Join(words[1:], " ")]
		if !found {
			return "0 No value found"
		}
		return "1 " + value
	}
	for _, known := range []string{"SetGuestInfo", "tools.", "vmx.capability.", "log", "SetGuestDiskInfo"} {
		if strings.HasPrefix(text, known) {
			return "1 "
		}
	}
	return "0 Unknown command"
}
