package engine

import (
	"time"

	"lkt/dhcp/lease"
	"lkt/dhcp/packet"
)

func (e *Engine) receiveAck(m *packet.Message, from packet.HardwareAddr, now time.Duration) []Action {
	g, err := readGrant(m)
	if err != nil || !e.isExpectedAck(g) || g.Time != lease.Infinite && now >= e.requestSent+g.Time {
		return nil
	}
	e.leaseStart, e.peer = e.requestSent, from
	g.renew -= e.jitter(g.renew)
	g.rebind -= e.jitter(g.rebind - g.renew)
	if e.state == requesting && e.config.Probes.Num > 0 {
		e.offer, e.state, e.tries = g, probing, 0
		e.deadline = now + e.between(0, e.config.Probes.Wait)
		return e.Tick(now)
	}
	return e.bind(g, now)
}

// jitter returns a random part of a duration.
func (e *Engine) jitter(d time.Duration) time.Duration {
	if e.config.Jitter == 0 || d <= 0 {
		return 0
	}
	return time.Duration(e.config.Random()%1000) * (d / 1000) * time.Duration(e.config.Jitter) / 100
}

// isExpectedAck reports whether an ACK answers the request of the current state. A server that
// assigns another address must NAK this request.
func (e *Engine) isExpectedAck(g *grant) bool {
	address := g.Address.Addr()
	switch e.state {
	case requesting:
		return g.Server == e.offer.Server && address == e.offer.Address.Addr()
	case rebooting:
		return address == e.config.Previous
	case renewing:
		return g.Server == e.held.Server && address == e.held.Address.Addr()
	case rebinding:
		return address == e.held.Address.Addr()
	}
	return false
}

// bind enters the BOUND state with a lease.
func (e *Engine) bind(g *grant, now time.Duration) []Action {
	renewed := e.held != nil
	e.held, e.offer, e.state, e.naks = g, nil, bound, 0
	actions := []Action{Bound{Lease: &g.Lease, Renewed: renewed}}
	e.deadline = e.renewalTime()
	if renewed {
		e.conflicts = 0
	} else {
		e.announced = 0
		actions = append(actions, e.announce(now)...)
	}
	return actions
}

// renewalTime returns the time T1, at which the engine requests a renewal.
func (e *Engine) renewalTime() time.Duration {
	if e.held.Time == lease.Infinite {
		return never
	}
	return e.leaseStart + e.held.renew
}

func (e *Engine) receiveNak(m *packet.Message, now time.Duration) []Action {
	server, err := addressOption(m, packet.OptionServer)
	if err != nil {
		return nil
	}
	switch e.state {
	case requesting:
		if server != e.offer.Server {
			return nil
		}
		return e.retryAfterNak(now)
	case renewing:
		if server != e.held.Server {
			return nil
		}
	case rebooting, rebinding:
	default:
		return nil
	}
	return append([]Action{Lost{Nak}}, e.restart(now)...)
}

// retryAfterNak starts over, with increasing delays if a server keeps refusing the addresses that
// it offers.
func (e *Engine) retryAfterNak(now time.Duration) []Action {
	e.naks++
	if e.naks == 1 {
		return e.restart(now)
	}
	e.offer = nil
	e.state, e.deadline = delaying, now+min(firstDelay<<min(e.naks-2, 8), maxTimeout)
	return nil
}
