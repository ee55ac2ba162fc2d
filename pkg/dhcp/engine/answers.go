package engine

import (
	"time"

	"lkt/dhcp/lease"
	"lkt/dhcp/packet"
)

func (e *Engine) acknowledged(m *packet.Message, from packet.HardwareAddr, now time.Duration) []Action {
	g, err := readGrant(m)
	if err != nil || !e.expects(g) || g.Time != lease.Forever && now >= e.asked+g.Time {
		return nil
	}
	e.granted, e.peer = e.asked, from
	if e.state == requesting && e.config.Probes.Count > 0 {
		e.offer, e.state, e.tries = g, probing, 0
		e.next = now + e.between(0, e.config.Probes.Wait)
		return e.Tick(now)
	}
	return e.hold(g, now)
}

// expects says whether an ACK answers the request of the state. A server that gives another address has to say NAK to this one.
func (e *Engine) expects(g *grant) bool {
	address := g.Address.Addr()
	switch e.state {
	case requesting:
		return g.Server == e.offer.Server && address == e.offer.Address.Addr()
	case rebooting:
		return address == e.config.Known
	case renewing:
		return g.Server == e.held.Server && address == e.held.Address.Addr()
	case rebinding:
		return address == e.held.Address.Addr()
	}
	return false
}

// hold takes a lease into use.
func (e *Engine) hold(g *grant, now time.Duration) []Action {
	renewed := e.held != nil
	e.held, e.offer, e.state, e.refusals = g, nil, bound, 0
	actions := []Action{Bound{Lease: &g.Lease, Renewed: renewed}}
	e.next = e.renewal()
	if renewed {
		e.conflicts = 0
	} else {
		e.announced = 0
		actions = append(actions, e.announce(now)...)
	}
	return actions
}

// renewal is when a longer lease is asked for.
func (e *Engine) renewal() time.Duration {
	if e.held.Time == lease.Forever {
		return never
	}
	return e.granted + e.held.renew
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
		return e.refusedRequest(now)
	case renewing:
		if server != e.held.Server {
			return nil
		}
	case rebooting, rebinding:
	default:
		return nil
	}
	return append([]Action{Lost{Refused}}, e.restart(now)...)
}

// refusedRequest starts again, ever more slowly with a server that offers what it then refuses.
func (e *Engine) refusedRequest(now time.Duration) []Action {
	e.refusals++
	if e.refusals == 1 {
		return e.restart(now)
	}
	e.offer = nil
	e.state, e.next = pausing, now+min(firstPause<<min(e.refusals-2, 8), maxWait)
	return nil
}
