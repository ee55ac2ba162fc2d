package engine

import (
	"net/netip"
	"time"

	"lkt/dhcp/lease"
	"lkt/dhcp/packet"
)

// Action is an action for the caller: Send, SendARP, Bound, Lost, Claimed or Paused.
type Action interface{ action() }

// Send is a message to send. From is 0.0.0.0 before there is an address. To is a server, or
// 255.255.255.255.
type Send struct {
	Message  *packet.Message
	From, To netip.Addr
	Station  packet.HardwareAddr // the link-layer destination
}

// SendARP is an ARP probe or announcement (RFC 5227), sent to all stations.
type SendARP struct{ Packet *packet.ARP }

// Bound is a lease to apply. Each renewal returns it again.
type Bound struct {
	Lease   *lease.Lease
	Renewed bool
}

// Lost means that the address must no longer be used.
type Lost struct{ Reason Reason }

// Claimed reports a station that claims the bound address, for the log.
type Claimed struct{ Station packet.HardwareAddr }

// Paused reports that the network does without IPv4, for a time.
type Paused struct{ For time.Duration }

func (Send) action()    {}
func (SendARP) action() {}
func (Bound) action()   {}
func (Lost) action()    {}
func (Claimed) action() {}
func (Paused) action()  {}

// Reason is why an address was lost.
type Reason byte

// The reasons.
const (
	Expired Reason = 1 + iota
	Nak
	Released
)

func (r Reason) String() string {
	switch r {
	case Expired:
		return "the lease expired"
	case Nak:
		return "the server refused the address"
	case Released:
		return "the lease was given back"
	}
	return "unknown reason"
}
