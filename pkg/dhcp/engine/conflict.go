package engine

import (
	"net/netip"
	"slices"
	"time"

	"lkt/dhcp/packet"
)

// Probes are the parameters of address conflict detection (RFC 5227 section 1.1): PROBE_NUM,
// PROBE_WAIT, PROBE_MIN, PROBE_MAX and ANNOUNCE_WAIT.
type Probes struct {
	Num                          int
	Wait, Min, Max, AnnounceWait time.Duration
}

var (
	// RFC5227Probes are the values of RFC 5227. They take 4 to 7 seconds, for networks whose
	// switches start slowly.
	RFC5227Probes = Probes{3, time.Second, time.Second, 2 * time.Second, 2 * time.Second}
	// FastProbes sends as many probes within half a second. A running station answers within
	// milliseconds.
	FastProbes = Probes{3, 0, 100 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond}
)

const (
	// RFC 2131 3.1.5: the minimum delay between a DECLINE and the next DISCOVER.
	declineWait = 10 * time.Second
	// RFC 5227 1.1: MAX_CONFLICTS, RATE_LIMIT_INTERVAL, ANNOUNCE_NUM, ANNOUNCE_INTERVAL and
	// DEFEND_INTERVAL.
	maxConflicts     = 10
	rateLimit        = 60 * time.Second
	announcements    = 2
	announceInterval = 2 * time.Second
	defendInterval   = 10 * time.Second
	// maxClaims is how many addresses one station can make the client decline. Such a station
	// claims every address: it is hostile, or answers for others (proxy ARP).
	maxClaims = 3
	// reportInterval is the minimum time between two reports about a station that claims the
	// address.
	reportInterval = time.Hour
)

// conflict is the state of address conflict detection.
type conflict struct {
	conflicts    int           // addresses declined since the last renewed lease
	announced    int           // announcements sent for this address
	lastDefended time.Duration // when the address was last defended
	lastReported time.Duration // when a station that claims the address was last reported
	claimant     packet.HardwareAddr
	claimed      []netip.Addr // the addresses that the claimant has made the client decline
}

// probe sends the next ARP probe, or binds the address if no station has answered in time.
func (e *Engine) probe(now time.Duration) []Action {
	if now < e.deadline {
		return nil
	}
	p := e.config.Probes
	if e.tries >= p.Num {
		return e.bind(e.offer, now)
	}
	e.tries++
	e.deadline = now + p.AnnounceWait
	if e.tries < p.Num {
		e.deadline = now + e.between(p.Min, p.Max)
	}
	return []Action{SendARP{e.arp(unspecified, e.offer.Address.Addr())}}
}

// announce sends an ARP announcement, so that stations update their ARP caches.
func (e *Engine) announce(now time.Duration) []Action {
	e.announced++
	e.deadline = e.renewalTime()
	if e.announced < announcements {
		e.deadline = min(e.deadline, now+announceInterval)
	}
	own := e.held.Address.Addr()
	return []Action{SendARP{e.arp(own, own)}}
}

func (e *Engine) arp(sender, target netip.Addr) *packet.ARP {
	return &packet.ARP{Sender: e.config.Hardware, SenderIP: sender, TargetIP: target}
}

// ReceiveARP handles an ARP packet from the network. The client declines an address that another
// station uses before it is bound. Then it defends the address, at most once per DEFEND_INTERVAL,
// and keeps it (RFC 5227 2.4 c): the server has granted it, and any station could take it away
// otherwise.
func (e *Engine) ReceiveARP(a *packet.ARP, now time.Duration) []Action {
	if a.Sender == e.config.Hardware {
		return nil
	}
	if e.state == probing {
		wanted := e.offer.Address.Addr()
		// Another station uses the address, or probes for it too.
		if a.SenderIP == wanted || !a.Reply && a.SenderIP == unspecified && a.TargetIP == wanted {
			if !e.believe(a.Sender, wanted) {
				return nil
			}
			return e.declineAddress(e.offer, now)
		}
		return nil
	}
	if e.held == nil || a.SenderIP != e.held.Address.Addr() {
		return nil
	}
	var actions []Action
	if now-e.lastReported >= reportInterval {
		e.lastReported = now
		actions = append(actions, Claimed{a.Sender})
	}
	if now-e.lastDefended >= defendInterval {
		e.lastDefended = now
		own := e.held.Address.Addr()
		actions = append(actions, SendARP{e.arp(own, own)})
	}
	return actions
}

// believe reports whether the client declines an address because of a station's claim.
func (e *Engine) believe(station packet.HardwareAddr, address netip.Addr) bool {
	if station != e.claimant {
		e.claimant, e.claimed = station, nil
	}
	if slices.Contains(e.claimed, address) {
		return true
	}
	if len(e.claimed) == maxClaims {
		return false
	}
	e.claimed = append(e.claimed, address)
	return true
}

func (e *Engine) declineAddress(g *grant, now time.Duration) []Action {
	e.conflicts++
	wait := declineWait
	if e.conflicts > maxConflicts {
		wait = rateLimit
	}
	send := e.decline(g)
	e.held, e.offer = nil, nil
	e.state, e.deadline = delaying, now+wait
	return []Action{send}
}
