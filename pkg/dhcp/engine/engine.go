// Package engine is a DHCPv4 client (RFC 2131) as a pure state machine: packets and time in, packets and leases out. It
// opens nothing, waits for nothing and reads no clock.
package engine

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"lkt/dhcp/packet"
)

// Config is what a client knows when it starts.
type Config struct {
	Hardware packet.HardwareAddr
	HostName string // sent to the server; may be empty
	// Known is an address the interface has from an earlier run. The client asks for it again before it asks for any.
	Known netip.Addr
	// Random gives transaction numbers and jitter.
	Random func() uint32
}

// Action is what the caller has to do: Send, Bound or Lost.
type Action interface{ action() }

// Send is a message for the network. To is a server, or 255.255.255.255. From is 0.0.0.0 until there is an address.
type Send struct {
	Message  *packet.Message
	From, To netip.Addr
}

// Bound is a lease to apply. It comes again whenever the lease is renewed.
type Bound struct {
	Lease   *Lease
	Renewed bool
}

// Lost says that the address may not be used any longer.
type Lost struct{ Reason string }

func (Send) action()  {}
func (Bound) action() {}
func (Lost) action()  {}

type state int

const (
	selecting  state = iota // DISCOVER sent, waiting for an OFFER
	requesting              // REQUEST sent, waiting for an ACK
	rebooting               // REQUEST for a known address sent
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
	never       = time.Duration(1<<63 - 1)
)

var (
	broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	nobody    = netip.IPv4Unspecified()
)

// Engine is one client on one interface. Times are those of a monotonic clock, from any origin.
type Engine struct {
	config  Config
	state   state
	xid     uint32
	began   time.Duration // of this transaction
	next    time.Duration // when Tick has something to do
	tries   int
	offer   *Lease
	lease   *Lease
	granted time.Duration // when the request that gave the lease was sent
	asked   time.Duration // when the last request was sent
}

// New gives a client and the first messages to send.
func New(config Config, now time.Duration) (*Engine, []Action) {
	e := &Engine{config: config}
	if isUnicast(config.Known) {
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
	case requesting:
		if e.tries >= maxRequests {
			return e.restart(now)
		}
	case rebooting:
		if e.tries >= maxReboots {
			return e.restart(now)
		}
	case bound:
		e.begin(renewing, now)
	case renewing, rebinding:
		if now >= e.granted+e.lease.Time {
			return append([]Action{Lost{"the lease ended"}}, e.restart(now)...)
		}
		if e.state == renewing && now >= e.granted+e.lease.Rebind {
			e.begin(rebinding, now)
		}
	}
	return e.transmit(now)
}

// Receive takes a message from the network. What is not meant for this client, or not expected, changes nothing.
func (e *Engine) Receive(m *packet.Message, now time.Duration) []Action {
	if m.XID != e.xid || m.Hardware != e.config.Hardware {
		return nil
	}
	switch m.Type {
	case packet.Offer:
		if e.state != selecting {
			return nil
		}
		offer, err := readLease(m)
		if err != nil {
			return nil
		}
		e.offer = offer
		e.state, e.tries = requesting, 0
		return e.transmit(now)
	case packet.Ack:
		return e.acknowledged(m, now)
	case packet.Nak:
		return e.refused(m, now)
	}
	return nil
}

func (e *Engine) acknowledged(m *packet.Message, now time.Duration) []Action {
	if e.state == selecting || e.state == bound {
		return nil
	}
	lease, err := readLease(m)
	if err != nil {
		return nil
	}
	switch e.state {
	case requesting:
		if lease.Server != e.offer.Server || lease.Address.Addr() != e.offer.Address.Addr() {
			return nil
		}
	case rebooting:
		if lease.Address.Addr() != e.config.Known {
			return nil
		}
	case renewing, rebinding:
		// A server that gives another address has to say NAK to this one.
		if lease.Address.Addr() != e.lease.Address.Addr() || e.state == renewing && lease.Server != e.lease.Server {
			return nil
		}
	}
	renewed := e.lease != nil
	e.lease, e.granted, e.state = lease, e.asked, bound
	e.next = never
	if lease.Time != Forever {
		e.next = e.granted + lease.Renew
	}
	return []Action{Bound{Lease: lease, Renewed: renewed}}
}

func (e *Engine) refused(m *packet.Message, now time.Duration) []Action {
	server, err := oneAddress(m, packet.OptionServer)
	if err != nil {
		return nil
	}
	switch e.state {
	case requesting:
		if server != e.offer.Server {
			return nil
		}
	case renewing:
		if server != e.lease.Server {
			return nil
		}
	case selecting, bound:
		return nil
	}
	var actions []Action
	if e.lease != nil {
		actions = append(actions, Lost{"the server refused the address"})
	}
	return append(actions, e.restart(now)...)
}

// restart asks for any address.
func (e *Engine) restart(now time.Duration) []Action {
	e.lease, e.offer = nil, nil
	e.begin(selecting, now)
	return e.transmit(now)
}

func (e *Engine) begin(s state, now time.Duration) {
	e.state, e.tries, e.began = s, 0, now
	e.xid = e.config.Random()
}

// transmit sends the message of the state and sets the time of the next one.
func (e *Engine) transmit(now time.Duration) []Action {
	m := &packet.Message{
		Type: packet.Request, XID: e.xid, Hardware: e.config.Hardware,
		Secs:    uint16(min((now-e.began)/time.Second, 0xffff)),
		Options: e.options(),
	}
	send := Send{Message: m, From: nobody, To: broadcast}
	switch e.state {
	case selecting:
		m.Type = packet.Discover
	case requesting:
		m.Options[packet.OptionServer] = bytesOf(e.offer.Server)
		m.Options[packet.OptionRequestedAddress] = bytesOf(e.offer.Address.Addr())
	case rebooting:
		m.Options[packet.OptionRequestedAddress] = bytesOf(e.config.Known)
	case renewing:
		m.Client = e.lease.Address.Addr()
		send.From, send.To = m.Client, e.lease.Server
	case rebinding:
		m.Client = e.lease.Address.Addr()
		send.From = m.Client
	}
	e.asked = now
	e.next = e.nextTry(now)
	e.tries++
	return []Action{send}
}

func (e *Engine) nextTry(now time.Duration) time.Duration {
	switch e.state {
	case renewing:
		return min(now+max((e.granted+e.lease.Rebind-now)/2, minRenew), e.granted+e.lease.Rebind)
	case rebinding:
		return min(now+max((e.granted+e.lease.Time-now)/2, minRenew), e.granted+e.lease.Time)
	}
	// RFC 2131 4.1: doubled each time, and one second more or less, so that clients do not speak in chorus.
	wait := min(firstWait<<min(e.tries, 8), maxWait)
	return now + wait - time.Second + time.Duration(e.config.Random()%2001)*time.Millisecond
}

func (e *Engine) options() map[byte][]byte {
	options := map[byte][]byte{
		packet.OptionParameters: {
			// RFC 3442: the client asks for 121 before 3.
			packet.OptionSubnetMask, packet.OptionClasslessRoutes, packet.OptionRouters, packet.OptionNameServers,
			packet.OptionDomainName, packet.OptionMTU, packet.OptionBroadcast, packet.OptionTimeServers,
			packet.OptionLeaseTime, packet.OptionRenewalTime, packet.OptionRebindingTime,
		},
		packet.OptionMaxSize:  binary.BigEndian.AppendUint16(nil, 1500),
		packet.OptionClientID: append([]byte{1}, e.config.Hardware[:]...),
	}
	if name := domain([]byte(e.config.HostName)); name != "" {
		options[packet.OptionHostName] = []byte(name)
	}
	return options
}

func bytesOf(a netip.Addr) []byte {
	four := a.As4()
	return four[:]
}

// String names the state for logs.
func (e *Engine) String() string {
	return fmt.Sprintf("%s, try %d", [...]string{
		"selecting", "requesting", "rebooting", "bound", "renewing", "rebinding",
	}[e.state], e.tries)
}
