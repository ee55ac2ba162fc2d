package engine

import (
	"net/netip"
	"time"

	"lkt/dhcp/packet"
)

// Probes says how a new address is looked for on the link (RFC 5227 2.1): Count questions, the first within Wait, each Least to Most
// after the one before, and Settle for an answer to the last.
type Probes struct {
	Count                     int
	Wait, Least, Most, Settle time.Duration
}

var (
	// Standard are the times of RFC 5227: 4 to 7 seconds in all, for networks whose switches begin slowly.
	Standard = Probes{3, time.Second, time.Second, 2 * time.Second, 2 * time.Second}
	// Fast asks as often, within half a second. A station that is awake answers within milliseconds.
	Fast = Probes{3, 0, 100 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond}
)

const (
	// RFC 2131 3.1.5: the least time between a DECLINE and the next DISCOVER.
	declineWait = 10 * time.Second
	// RFC 5227 1.1: MAX_CONFLICTS, RATE_LIMIT_INTERVAL, ANNOUNCE_NUM, ANNOUNCE_INTERVAL, DEFEND_INTERVAL.
	maxConflicts     = 10
	rateLimit        = 60 * time.Second
	announcements    = 2
	announceInterval = 2 * time.Second
	defendInterval   = 10 * time.Second
)

// conflict is what the client knows of stations that use its address.
type conflict struct {
	conflicts int           // addresses given back because of one, without a lease that lasted in between
	announced int           // announcements of this address
	defended  time.Duration // when the address was last defended
}

// probe asks the link for the address, or takes it when there was time enough for an answer.
func (e *Engine) probe(now time.Duration) []Action {
	if now < e.next {
		return nil
	}
	p := e.config.Probes
	if e.tries >= p.Count {
		return e.hold(e.offer, now)
	}
	e.tries++
	e.next = now + p.Settle
	if e.tries < p.Count {
		e.next = now + e.between(p.Least, p.Most)
	}
	return []Action{SendARP{e.arp(nobody, e.offer.Address.Addr())}}
}

// announce tells the link whose the address is now, so that stations forget whom they knew by it.
func (e *Engine) announce(now time.Duration) []Action {
	e.announced++
	e.next = e.renewal()
	if e.announced < announcements {
		e.next = min(e.next, now+announceInterval)
	}
	own := e.held.Address.Addr()
	return []Action{SendARP{e.arp(own, own)}}
}

func (e *Engine) arp(sender, target netip.Addr) *packet.ARP {
	return &packet.ARP{Sender: e.config.Hardware, SenderIP: sender, TargetIP: target}
}

// ReceiveARP takes an ARP packet from the network. One that shows another station with this client's address makes it defend the
// address once, and give it up the second time (RFC 5227 2.4 b).
func (e *Engine) ReceiveARP(a *packet.ARP, now time.Duration) []Action {
	if a.Sender == e.config.Hardware {
		return nil
	}
	if e.state == probing {
		wanted := e.offer.Address.Addr()
		// Another station has it, or probes for it too.
		if a.SenderIP == wanted || !a.Reply && a.SenderIP == nobody && a.TargetIP == wanted {
			return e.giveUp(e.offer, now)
		}
		return nil
	}
	if e.held == nil || a.SenderIP != e.held.Address.Addr() {
		return nil
	}
	if now-e.defended < defendInterval {
		return append([]Action{Lost{Conflict}}, e.giveUp(e.held, now)...)
	}
	e.defended = now
	own := e.held.Address.Addr()
	return []Action{SendARP{e.arp(own, own)}}
}

func (e *Engine) giveUp(g *grant, now time.Duration) []Action {
	e.conflicts++
	wait := declineWait
	if e.conflicts > maxConflicts {
		wait = rateLimit
	}
	send := e.decline(g)
	e.held, e.offer = nil, nil
	e.state, e.next = pausing, now+wait
	return []Action{send}
}
