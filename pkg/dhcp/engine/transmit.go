package engine

import (
	"encoding/binary"
	"net/netip"
	"time"

	"lkt/dhcp/lease"
	"lkt/dhcp/packet"
)

// transmit sends the message of the current state and schedules its retransmission.
func (e *Engine) transmit(now time.Duration) []Action {
	m := &packet.Message{
		Type: packet.Request, XID: e.xid, Hardware: e.config.Hardware,
		Secs:    uint16(min((now-e.started)/time.Second, 0xffff)),
		Options: e.options(),
	}
	send := Send{Message: m, From: unspecified, To: broadcast, Station: packet.BroadcastAddr}
	switch e.state {
	case selecting:
		m.Type = packet.Discover
	case requesting:
		m.Options[packet.OptionServer] = bytesOf(e.offer.Server)
		m.Options[packet.OptionRequestedAddress] = bytesOf(e.offer.Address.Addr())
	case rebooting:
		m.Options[packet.OptionRequestedAddress] = bytesOf(e.config.Previous)
	case renewing:
		m.Client = e.held.Address.Addr()
		send.From, send.To, send.Station = m.Client, e.held.Server, e.peer
	case rebinding:
		m.Client = e.held.Address.Addr()
		send.From = m.Client
	}
	e.requestSent = now
	e.deadline = e.retransmitTime(now)
	e.tries++
	return []Action{send}
}

func (e *Engine) retransmitTime(now time.Duration) time.Duration {
	switch e.state {
	case renewing:
		return min(now+max((e.leaseStart+e.held.rebind-now)/2, minRenewInterval), e.leaseStart+e.held.rebind)
	case rebinding:
		return min(now+max((e.leaseStart+e.held.Time-now)/2, minRenewInterval), e.leaseStart+e.held.Time)
	}
	// RFC 2131 4.1: exponential backoff with one second of jitter, so that clients do not
	// synchronize.
	wait := min(firstTimeout<<min(e.tries, 8), maxTimeout)
	return now + e.between(wait-time.Second, wait+time.Second)
}

// between returns a random duration in whole milliseconds.
func (e *Engine) between(least, most time.Duration) time.Duration {
	span := uint32((most-least)/time.Millisecond) + 1
	return least + time.Duration(e.config.Random()%span)*time.Millisecond
}

func (e *Engine) options() map[byte][]byte {
	options := map[byte][]byte{
		packet.OptionParameters: append([]byte{
			// RFC 3442: 121 must come before 3.
			packet.OptionSubnetMask, packet.OptionClasslessRoutes, packet.OptionRouters, packet.OptionNameServers,
			packet.OptionDomainName, packet.OptionMTU, packet.OptionBroadcast, packet.OptionSearch,
			packet.OptionLeaseTime, packet.OptionRenewalTime, packet.OptionRebindingTime,
		}, e.config.Options...),
		packet.OptionMaxSize:  binary.BigEndian.AppendUint16(nil, 1500),
		packet.OptionClientID: e.clientID(),
	}
	if lease.IsDomain(e.config.HostName) {
		options[packet.OptionHostName] = []byte(e.config.HostName)
	}
	return options
}

func (e *Engine) clientID() []byte { return append([]byte{1}, e.config.Hardware[:]...) }

// decline returns a DECLINE for an address in use, with only the options that RFC 2131 table 5
// allows.
func (e *Engine) decline(g *grant) Send {
	return Send{From: unspecified, To: broadcast, Station: packet.BroadcastAddr, Message: &packet.Message{
		Type: packet.Decline, XID: e.xid, Hardware: e.config.Hardware,
		Options: map[byte][]byte{
			packet.OptionServer:           bytesOf(g.Server),
			packet.OptionRequestedAddress: bytesOf(g.Address.Addr()),
			packet.OptionClientID:         e.clientID(),
			packet.OptionMessage:          []byte("the address is in use"),
		},
	}}
}

// release returns a RELEASE of the lease, with only the options that RFC 2131 table 5 allows.
func (e *Engine) release() Send {
	own := e.held.Address.Addr()
	return Send{From: own, To: e.held.Server, Station: e.peer, Message: &packet.Message{
		Type: packet.Release, XID: e.config.Random(), Hardware: e.config.Hardware, Client: own,
		Options: map[byte][]byte{packet.OptionServer: bytesOf(e.held.Server), packet.OptionClientID: e.clientID()},
	}}
}

func bytesOf(a netip.Addr) []byte {
	four := a.As4()
	return four[:]
}
