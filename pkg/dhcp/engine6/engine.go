// Package engine6 is an IPv6 client as a pure state machine: it makes addresses from router
// advertisements (RFC 4861, 4862, 7217, 8106) and is a DHCPv6 client (RFC 8415). It takes packets
// and the time, and returns packets and configurations. It does no I/O, does not block and reads no
// clock.
package engine6

import (
	"net/netip"
	"slices"
	"time"

	"lkt/dhcp/config6"
	"lkt/dhcp/packet"
	"lkt/dhcp/packet6"
)

// Config is the configuration of a client.
type Config struct {
	Hardware packet.HardwareAddr
	// Link is the name of the interface, and Secret is known to this machine only. Addresses depend
	// on both (RFC 7217).
	Link   string
	Secret []byte
	// Random returns transaction IDs and jitter.
	Random func() uint32
}

const (
	never = time.Duration(1<<63 - 1)
	// RFC 7559: initial and maximum time between router solicitations.
	firstSolicitation = 4 * time.Second
	maxSolicitation   = time.Hour
	// applyInterval is the minimum time between two configurations.
	applyInterval = time.Second
	maxRouters    = 4
	maxPrefixes   = 8
	maxDomains    = config6.MaxDomains
	// confirmTime is how long the configuration of a network stays after the link was down: the
	// link may be another one. A router or server that repeats it ends that time.
	confirmTime = 20 * time.Second
	// RFC 4862 5.5.3 e: no advertisement can shorten the life of an address to less.
	twoHours = 2 * time.Hour
)

// Engine is a client on one interface. Times are those of a monotonic clock with any origin.
type Engine struct {
	config    Config
	linkLocal netip.Addr // invalid until the kernel has one that is unique
	solicitor retransmission
	solicited time.Duration // when the last solicitation was sent
	routers   []router
	prefixes  []prefix
	servers   []timed[netip.Addr]
	domains   []timed[string]
	mtu       int
	dhcp      client
	changed   bool          // since the last configuration
	applied   time.Duration // when the last configuration was returned
}

type router struct {
	address    netip.Addr
	preference int
	until      time.Duration
}

// timed is a value until a time.
type timed[T comparable] struct {
	value T
	until time.Duration
}

// New returns a client that waits for LinkLocal.
func New(config Config, now time.Duration) *Engine {
	e := &Engine{config: config, applied: now - applyInterval, solicited: now - firstSolicitation}
	e.solicitor.deadline = never
	e.dhcp = newClient(config)
	return e
}

// Deadline returns the time at which the caller must call Tick.
func (e *Engine) Deadline() time.Duration {
	next := min(e.solicitor.deadline, e.dhcp.deadline, e.dhcp.expiry())
	if e.changed {
		next = min(next, e.applied+applyInterval)
	}
	for _, r := range e.routers {
		next = min(next, r.until)
	}
	for _, p := range e.prefixes {
		next = min(next, p.next())
	}
	for _, s := range e.servers {
		next = min(next, s.until)
	}
	for _, d := range e.domains {
		next = min(next, d.until)
	}
	return next
}

// LinkLocal tells the client the link-local address of its interface. Without one, because the link
// is down, it is silent and keeps its configuration.
func (e *Engine) LinkLocal(address netip.Addr, now time.Duration) []Action {
	if address == e.linkLocal {
		return nil
	}
	e.linkLocal = address
	if !address.IsValid() {
		e.solicitor.deadline = never
		e.dhcp.stop()
		return nil
	}
	e.unconfirm(now + confirmTime)
	// Duplicate address detection has already delayed the start by a random time (RFC 4861 6.3.7).
	e.solicit(now)
	return e.Tick(now)
}

// unconfirm limits the life of all that is known.
func (e *Engine) unconfirm(end time.Duration) {
	for at := range e.routers {
		e.routers[at].until = min(e.routers[at].until, end)
	}
	for at := range e.prefixes {
		p := &e.prefixes[at]
		p.onLink, p.valid = min(p.onLink, end), min(p.valid, end)
		p.preferred = min(p.preferred, p.valid)
	}
	for at := range e.servers {
		e.servers[at].until = min(e.servers[at].until, end)
	}
	for at := range e.domains {
		e.domains[at].until = min(e.domains[at].until, end)
	}
	e.dhcp.servers, e.dhcp.domains = nil, nil
	for at := range e.dhcp.leased {
		l := &e.dhcp.leased[at]
		l.valid = min(l.valid, end)
		l.preferred = min(l.preferred, l.valid)
	}
}

// solicit begins to ask for routers.
func (e *Engine) solicit(now time.Duration) {
	e.solicitor = retransmission{deadline: max(now, e.solicited+firstSolicitation)}
}

// Tick performs the actions that are due at now.
func (e *Engine) Tick(now time.Duration) []Action {
	if e.expire(now) {
		e.changed = true
	}
	var actions []Action
	if now >= e.solicitor.deadline {
		e.solicitor.schedule(now, firstSolicitation, maxSolicitation, e.config.Random)
		e.solicited = now
		actions = append(actions, Send{
			Packet: packet6.Solicitation(e.linkLocal, e.config.Hardware), Station: multicast(packet6.AllRouters),
		})
	}
	actions = append(actions, e.tickDHCP(now)...)
	return append(actions, e.apply(now)...)
}

// expire removes what is no longer valid, and reports whether that changed anything.
func (e *Engine) expire(now time.Duration) bool {
	before := len(e.routers)
	e.routers = slices.DeleteFunc(e.routers, func(r router) bool { return now >= r.until })
	changed := len(e.routers) != before
	if changed && len(e.routers) == 0 && e.linkLocal.IsValid() && e.solicitor.deadline == never {
		e.solicit(now)
	}
	if e.expirePrefixes(now) || e.dhcp.expire(now) {
		changed = true
	}
	n := len(e.servers) + len(e.domains)
	e.servers = slices.DeleteFunc(e.servers, func(s timed[netip.Addr]) bool { return now >= s.until })
	e.domains = slices.DeleteFunc(e.domains, func(d timed[string]) bool { return now >= d.until })
	return changed || n != len(e.servers)+len(e.domains)
}

// apply returns the configuration if it has changed, but not too often.
func (e *Engine) apply(now time.Duration) []Action {
	if !e.changed || now < e.applied+applyInterval {
		return nil
	}
	e.changed, e.applied = false, now
	c := e.current(now)
	if c.Check() != nil { // a fault of this program: rather no change
		return nil
	}
	return []Action{Configure{c}}
}

// retransmission is the schedule of a message (RFC 8415 section 15, RFC 7559).
type retransmission struct {
	deadline time.Duration
	last     time.Duration // the last interval
	tries    int
}

// schedule sets the time of the next transmission.
func (r *retransmission) schedule(now, first, most time.Duration, random func() uint32) {
	interval := first
	if r.tries > 0 {
		interval = 2 * r.last
	}
	interval = min(interval, most)
	// A tenth more or less, so that clients do not synchronize.
	jitter := time.Duration(int64(random()%2001)-1000) * (interval / 10000)
	r.tries++
	r.last = interval + jitter
	r.deadline = now + r.last
}

func addTime(now, lifetime time.Duration) time.Duration {
	return now + min(lifetime, config6.MaxTime)
}

// multicast returns the Ethernet address of a multicast group (RFC 2464).
func multicast(group netip.Addr) packet.HardwareAddr {
	b := group.As16()
	return packet.HardwareAddr{0x33, 0x33, b[12], b[13], b[14], b[15]}
}
