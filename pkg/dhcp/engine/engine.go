// Package engine is a DHCPv4 client (RFC 2131) as a pure state machine: it takes packets and the
// time, and returns packets and leases. It does no I/O, does not block and reads no clock.
package engine

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"lkt/dhcp/lease"
	"lkt/dhcp/packet"
)

// Config is the configuration of a client.
type Config struct {
	Hardware packet.HardwareAddr
	HostName string // host name option; may be empty
	// Previous is the interface's address from an earlier run. The client requests it first
	// (INIT-REBOOT).
	Previous netip.Addr
	// Probes are the parameters of address conflict detection for a new address.
	Probes Probes
	// Options are codes of options that the client asks for besides the usual ones. With
	// packet.OptionIPv6Only it does without IPv4 where the network offers that (RFC 8925).
	Options []byte
	// Jitter is by how many percent at most T1 and T2 are earlier, so that clients do not
	// synchronize.
	Jitter int
	// Random returns transaction IDs and jitter.
	Random func() uint32
}

type state int

const (
	selecting  state = iota // DISCOVER sent, waiting for an OFFER
	requesting              // REQUEST sent, waiting for an ACK
	rebooting               // REQUEST for a previous address sent
	probing                 // ACK received, probing for conflicts
	delaying                // delay before the next DISCOVER, after a DECLINE or repeated NAKs
	bound
	renewing  // requesting an extension from the server of the lease
	rebinding // requesting an extension from any server
	offline   // the link is down, or the lease was given back
)

const (
	firstTimeout     = 4 * time.Second
	maxTimeout       = 64 * time.Second
	minRenewInterval = 60 * time.Second // between two renewal requests, RFC 2131 4.4.5
	maxRequests      = 4
	maxReboots       = 2
	firstDelay       = time.Second
	// RFC 8925: MIN_V6ONLY_WAIT, and a limit.
	minIPv6OnlyWait = 5 * time.Minute
	maxIPv6OnlyWait = 24 * time.Hour
	never           = time.Duration(1<<63 - 1)
)

var (
	broadcast   = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	unspecified = netip.IPv4Unspecified()
)

// Engine is a client on one interface. Times are those of a monotonic clock with any origin.
type Engine struct {
	config      Config
	state       state
	xid         uint32
	started     time.Duration // when the transaction started
	deadline    time.Duration // when the next Tick is due
	tries       int
	offer       *grant              // being requested or probed
	held        *grant              // in use
	peer        packet.HardwareAddr // the station that sent the last ACK: the server, or a relay
	leaseStart  time.Duration       // when the request for the lease was sent
	requestSent time.Duration       // when the last request was sent
	naks        int                 // consecutive NAKs to requests
	conflict
}

// New returns a client and its first messages.
func New(config Config, now time.Duration) (*Engine, []Action) {
	e := &Engine{config: config}
	e.lastDefended, e.lastReported = now-defendInterval, now-reportInterval
	if lease.IsUnicast(config.Previous) {
		e.begin(rebooting, now)
	} else {
		e.begin(selecting, now)
	}
	return e, e.transmit(now)
}

// Deadline returns the time at which the caller must call Tick.
func (e *Engine) Deadline() time.Duration { return e.deadline }

// Tick performs the actions that are due at now.
func (e *Engine) Tick(now time.Duration) []Action {
	if now < e.deadline {
		return nil
	}
	switch e.state {
	case probing:
		return e.probe(now)
	case offline:
		e.held, e.deadline = nil, never
		return []Action{Lost{Expired}}
	case delaying:
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
		if now < e.renewalTime() {
			return e.announce(now)
		}
		e.begin(renewing, now)
	}
	if e.state == renewing || e.state == rebinding {
		if now >= e.leaseStart+e.held.Time {
			return append([]Action{Lost{Expired}}, e.restart(now)...)
		}
		if e.state == renewing && now >= e.leaseStart+e.held.rebind {
			e.begin(rebinding, now)
		}
	}
	return e.transmit(now)
}

// Receive handles a message from the network; from is the station that sent it. A message for
// another client, or one that the state does not expect, has no effect.
func (e *Engine) Receive(m *packet.Message, from packet.HardwareAddr, now time.Duration) []Action {
	if m.XID != e.xid || m.Hardware != e.config.Hardware {
		return nil
	}
	switch m.Type {
	case packet.Offer:
		if e.state != selecting {
			return nil
		}
		if wait, ok := e.withoutIPv4(m); ok {
			e.state, e.deadline = delaying, now+wait
			return []Action{Paused{wait}}
		}
		offer, err := readGrant(m)
		if err != nil {
			return nil
		}
		e.offer = offer
		e.state, e.tries = requesting, 0
		return e.transmit(now)
	case packet.Ack:
		return e.receiveAck(m, from, now)
	case packet.Nak:
		return e.receiveNak(m, now)
	}
	return nil
}

// withoutIPv4 reports whether the network offers to do without IPv4, and for how long.
func (e *Engine) withoutIPv4(m *packet.Message) (time.Duration, bool) {
	if !slices.Contains(e.config.Options, packet.OptionIPv6Only) || len(m.Options[packet.OptionIPv6Only]) != 4 {
		return 0, false
	}
	seconds := binary.BigEndian.Uint32(m.Options[packet.OptionIPv6Only])
	return min(max(time.Duration(seconds)*time.Second, minIPv6OnlyWait), maxIPv6OnlyWait), true
}

// LinkDown tells the client that the link is down. It keeps its lease and is silent.
func (e *Engine) LinkDown() {
	e.offer, e.state, e.deadline = nil, offline, never
	if e.held != nil && e.held.Time != lease.Infinite {
		e.deadline = e.leaseStart + e.held.Time
	}
}

// LinkUp tells the client that the link is up again, perhaps on another network. It asks whether it
// may keep its address (RFC 2131 3.2).
func (e *Engine) LinkUp(now time.Duration) []Action {
	if e.state != offline {
		return nil
	}
	if e.held == nil {
		return e.restart(now)
	}
	e.config.Previous, e.held = e.held.Address.Addr(), nil
	e.begin(rebooting, now)
	return e.transmit(now)
}

// Release gives the lease back, after which the client is silent.
func (e *Engine) Release() []Action {
	if e.held == nil || e.state == offline {
		return nil
	}
	send := e.release()
	e.held, e.state, e.deadline = nil, offline, never
	return []Action{send, Lost{Released}}
}

// restart returns to SELECTING, without an address.
func (e *Engine) restart(now time.Duration) []Action {
	e.held, e.offer = nil, nil
	e.begin(selecting, now)
	return e.transmit(now)
}

func (e *Engine) begin(s state, now time.Duration) {
	e.state, e.tries, e.started = s, 0, now
	e.xid = e.config.Random()
}

// String returns the state for logs.
func (e *Engine) String() string {
	return fmt.Sprintf("%s, try %d", [...]string{
		"selecting", "requesting", "rebooting", "probing", "delaying", "bound", "renewing", "rebinding", "offline",
	}[e.state], e.tries)
}
