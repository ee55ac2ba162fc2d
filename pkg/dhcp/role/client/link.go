package client

import (
	"net/netip"
	"time"

	"lkt/dhcp/channel"
	"lkt/dhcp/engine"
	"lkt/dhcp/engine6"
	"lkt/dhcp/packet"
	"lkt/dhcp/packet6"
)

// link has the engines of an interface. They begin when it is first up, and anew when another
// interface takes its place.
type link struct {
	config  engine.Config
	config6 *engine6.Config // nil without IPv6
	carrier bool
	four    *engine.Engine
	six     *engine6.Engine
}

func (l *link) deadline() time.Duration {
	next := time.Duration(1<<63 - 1)
	if l.four != nil {
		next = l.four.Deadline()
	}
	if l.six != nil {
		next = min(next, l.six.Deadline())
	}
	return next
}

// change takes the state of the interface.
func (l *link) change(m channel.Link, now time.Duration) []any {
	replaced := m.Hardware != l.config.Hardware && m.Hardware != packet.HardwareAddr{}
	if replaced {
		if l.four != nil {
			l.config.Previous = netip.Addr{}
		}
		l.four, l.six, l.config.Hardware = nil, nil, m.Hardware
	}
	up := m.Carrier && (replaced || !l.carrier)
	down := !m.Carrier && l.carrier
	l.carrier = m.Carrier
	var actions []any
	switch {
	case up && l.four == nil:
		e, first := engine.New(l.config, now)
		l.four = e
		actions = all(first)
	case up:
		actions = all(l.four.LinkUp(now))
	case down && l.four != nil:
		l.four.LinkDown()
	}
	if l.config6 == nil || l.config.Hardware == (packet.HardwareAddr{}) {
		return actions
	}
	if l.six == nil {
		config := *l.config6
		config.Hardware = l.config.Hardware
		l.six = engine6.New(config, now)
	}
	own := m.LinkLocal
	if !m.Carrier {
		own = netip.Addr{}
	}
	return append(actions, all(l.six.LinkLocal(own, now))...)
}

// deliver passes a well-formed packet to an engine and ignores others.
func (l *link) deliver(f channel.Frame, now time.Duration) []any {
	switch {
	case f.Type == packet.EtherARP && l.four != nil:
		if a, err := packet.ParseARP(f.Packet); err == nil {
			return all(l.four.ReceiveARP(a, now))
		}
	case f.Type == packet.EtherIPv4 && l.four != nil:
		payload, err := packet.Unwrap(f.Packet, f.Checksum)
		if err != nil {
			return nil
		}
		if m, err := packet.Parse(payload); err == nil {
			return all(l.four.Receive(m, f.Station, now))
		}
	case f.Type == packet6.EtherIPv6 && l.six != nil:
		return l.deliverIPv6(f, now)
	}
	return nil
}

func (l *link) deliverIPv6(f channel.Frame, now time.Duration) []any {
	p, err := packet6.Unwrap(f.Packet, f.Checksum)
	if err != nil {
		return nil
	}
	if p.IsAdvertisement() {
		if a, err := packet6.ParseAdvertisement(p.Payload); err == nil {
			return all(l.six.ReceiveAdvertisement(p.From, a, now))
		}
		return nil
	}
	if m, err := packet6.ParseDHCP(p.Payload, l.six.Association()); err == nil {
		return all(l.six.ReceiveDHCP(m, now))
	}
	return nil
}

func (l *link) duplicate(address netip.Addr, now time.Duration) []any {
	if l.six == nil {
		return nil
	}
	return all(l.six.Duplicate(address, now))
}

func (l *link) tick(now time.Duration) (actions []any) {
	if l.four != nil {
		actions = all(l.four.Tick(now))
	}
	if l.six != nil {
		actions = append(actions, all(l.six.Tick(now))...)
	}
	return actions
}

func (l *link) release(now time.Duration) (actions []any) {
	if l.four != nil {
		actions = all(l.four.Release())
	}
	if l.six != nil {
		actions = append(actions, all(l.six.Release(now))...)
	}
	return actions
}

func all[T any](actions []T) (some []any) {
	for _, a := range actions {
		some = append(some, a)
	}
	return some
}
