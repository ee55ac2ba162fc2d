package engine

import (
	"net/netip"

	"lkt/dhcp/lease"
	"lkt/dhcp/packet"
)

// Action is what the caller has to do: Send, SendARP, Bound or Lost.
type Action interface{ action() }

// Send is a message for the network. To is a server, or 255.255.255.255. From is 0.0.0.0 until there is an address.
type Send struct {
	Message  *packet.Message
	From, To netip.Addr
	Link     packet.HardwareAddr // the station it goes to
}

// SendARP is a probe or an announcement of RFC 5227, for all stations.
type SendARP struct{ Packet *packet.ARP }

// Bound is a lease to apply. It comes again whenever the lease is renewed.
type Bound struct {
	Lease   *lease.Lease
	Renewed bool
}

// Lost says that the address may not be used any longer.
type Lost struct{ Reason Reason }

func (Send) action()    {}
func (SendARP) action() {}
func (Bound) action()   {}
func (Lost) action()    {}

// Reason is why an address is lost.
type Reason byte

// The reasons.
const (
	Ended Reason = 1 + iota
	Refused
	Conflict
)

func (r Reason) String() string {
	switch r {
	case Ended:
		return "the lease ended"
	case Refused:
		return "the server refused the address"
	case Conflict:
		return "another station uses the address"
	}
	return "no known reason"
}
