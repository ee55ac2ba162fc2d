// Package engine is a DHCPv4 client (RFC 2131) as a pure state machine: packets and time in, packets and leases out. It
// opens nothing, waits for nothing and reads no clock.
package engine

import (
	"fmt"
	"net/netip"
	"time"

	"lkt/dhcp/lease"
	"lkt/dhcp/packet"
)

// Config is what a client knows when it starts.
type Config struct {
	Hardware packet.HardwareAddr
	HostName string // sent to the server; may be empty
	// Known is an address the interface has from an earlier run. The client asks for it again before it asks for any.
	Known netip.Addr
	// Probes is how a new address is looked for on the link before it is used.
	Probes Probes
	// Random gives transaction numbers and jitter.
	Random func() uint32
}

type state int

const (
	selecting  state = iota // DISCOVER sent, waiting for an OFFER
	requesting              // REQUEST sent, waiting for an ACK
	rebooting               // REQUEST for a known address sent
	probing                 // ACK received, asking the link whether the address is free
	pausing                 // the address was not free, or refused again; waiting before the next DISCOVER
	bound
	renewing  // asking the server of the lease
	rebinding // asking any server
)

const (
	firstWait   = 4 * time.Second
	maxWait     = 64 * time.Second
	minRenew    = 60 * time.Second // RFC 2131 4.4.5: the least time between two requests for a longer lease
	maxRequests = 4
	maxReboots  = 2
	firstPause  = time.Second
	never       = time.Duration(1<<63 - 1)
)

var (
	broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	nobody    = netip.IPv4Unspecified()
)

// Engine is one client on one interface. Times are those of a monotonic clock, from any origin.
type Engine struct {
	config   Config
	state    state
	xid      uint32
	began    time.Duration // of this transaction
	next     time.Duration // when Tick has something to do
	tries    int
	offer    *grant              // asked for, or being probed
	held     *grant              // in use
	peer     packet.HardwareAddr // the station the last ACK came from: the server, or a relay
	granted  time.Duration       // when the request that gave the lease was sent
	asked    time.Duration       // when the last request was sent
	refusals int                 // of requests, one after the other
	conflict
}

// New gives a client and the first messages to send.
func New(config Config, now time.Duration) (*Engine, []Action) {
	e := &Engine{config: config}
	e.defended = now - defendInterval
	if lease.IsUnicast(config.Known) {
		e.begin(rebooting, now)
	} else {
		e.begin(selecting, now)
	}
	return e, e.transmit(now)
}

// Deadline is the time at which Tick is to be called.
func (e *Engine) Deadline() time.Duration { return e.next }

// Tick does what is due at now.
func (e *Engine) Tick(now time.Duration) []Action {
	if now < e.next {
		return nil
	}
	switch e.state {
	case probing:
		return e.probe(now)
	case pausing:
		return e.restart(now)
	case requesting:
		if e.tries >= maxRequests {
			return e.restart(now)
		}
	case rebooting:
		if e.tries >= maxReboots {
			return e.restart(now)
		}
	case bound:
		if now < e.renewal() {
			return e.announce(now)
		}
		e.begin(renewing, now)
	}
	if e.state == renewing || e.state == rebinding {
		if now >= e.granted+e.held.Time {
			return append([]Action{Lost{Ended}}, e.restart(now)...)
		}
		if e.state == renewing && now >= e.granted+e.held.rebind {
			e.begin(rebinding, now)
		}
	}
	return e.transmit(now)
}

// Receive takes a message from the network, and the station it came from. What is not meant for this client, or not expected,
// changes nothing.
func (e *Engine) Receive(m *packet.Message, from packet.HardwareAddr, now time.Duration) []Action {
	if m.XID != e.xid || m.Hardware != e.config.Hardware {
		return nil
	}
	switch m.Type {
	case packet.Offer:
		if e.state != selecting {
			return nil
		}
		offer, err := readGrant(m)
		if err != nil {
			return nil
		}
		e.offer = offer
		e.state, e.tries = requesting, 0
		return e.transmit(now)
	case packet.Ack:
		return e.acknowledged(m, from, now)
	case packet.Nak:
		return e.refused(m, now)
	}
	return nil
}

// restart asks for any address.
func (e *Engine) restart(now time.Duration) []Action {
	e.held, e.offer = nil, nil
	e.begin(selecting, now)
	return e.transmit(now)
}

func (e *Engine) begin(s state, now time.Duration) {
	e.state, e.tries, e.began = s, 0, now
	e.xid = e.config.Random()
}

// String names the state for logs.
func (e *Engine) String() string {
	return fmt.Sprintf("%s, try %d", [...]string{
		"selecting", "requesting", "rebooting", "probing", "pausing", "bound", "renewing", "rebinding",
	}[e.state], e.tries)
}
