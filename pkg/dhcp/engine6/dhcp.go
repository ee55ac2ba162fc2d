package engine6

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"lkt/dhcp/config6"
	"lkt/dhcp/lease"
	"lkt/dhcp/packet6"
)

type state int

const (
	idle       state = iota // no router has asked for DHCPv6
	informing               // asking for configuration without addresses
	informed                // until it must be refreshed
	soliciting              // looking for a server with addresses
	requesting              // asking the chosen server
	bound
	renewing  // asking the server of the lease
	rebinding // asking any server
)

// Parameters of RFC 8415 section 7.6, and limits.
const (
	maxDelay          = time.Second
	firstTimeout      = time.Second
	maxRequestTimeout = 30 * time.Second
	maxRequests       = 10
	firstRenewTimeout = 10 * time.Second
	maxRenewTimeout   = 10 * time.Minute
	defaultMax        = time.Hour // SOL_MAX_RT, INF_MAX_RT
	defaultRefresh    = 24 * time.Hour
	minRefresh        = 10 * time.Minute
	maxRefresh        = 30 * 24 * time.Hour
	maxLeased         = 4
	minValid          = lease.MinTime
	declineWait       = 10 * time.Second
)

// client is the DHCPv6 part of the engine.
type client struct {
	retransmission
	state       state
	xid         uint32
	started     time.Duration
	identifier  []byte // DUID-LL: needs no storage
	association uint32
	maxTimeout  time.Duration
	best        *packet6.Message // the best offer so far
	server      []byte           // of the lease
	leased      []leased
	t1, t2      time.Duration
	servers     []netip.Addr
	domains     []string
}

type leased struct {
	address          netip.Addr
	preferred, valid time.Duration
}

func newClient(c Config) client {
	identifier := append([]byte{0, 3, 0, 1}, c.Hardware[:]...)
	return client{
		retransmission: retransmission{deadline: never}, identifier: identifier,
		association: binary.BigEndian.Uint32(c.Hardware[2:]), maxTimeout: defaultMax,
	}
}

// begin enters a state that a router asks for, unless the client already does that or more.
func (c *client) begin(s state, now time.Duration, random func() uint32) {
	if s == informing && c.state != idle || s == soliciting && c.state >= soliciting {
		return
	}
	c.enter(s, now+time.Duration(random()%1000)*maxDelay/1000)
}

// enter begins a transaction at a time.
func (c *client) enter(s state, at time.Duration) {
	c.state, c.best, c.started, c.xid = s, nil, at, 0
	c.retransmission = retransmission{deadline: at}
}

// stop ends all transactions. Addresses stay until they expire.
func (c *client) stop() {
	c.state, c.best, c.deadline = idle, nil, never
}

// expire removes addresses that have ended, and reports whether there were any.
func (c *client) expire(now time.Duration) bool {
	before := len(c.leased)
	c.leased = slices.DeleteFunc(c.leased, func(l leased) bool { return now >= l.valid })
	return len(c.leased) != before
}

// expiry returns when the first address ends.
func (c *client) expiry() time.Duration {
	next := never
	for _, l := range c.leased {
		next = min(next, l.valid)
	}
	return next
}

func (c *client) addressesAt(now time.Duration) []config6.Address {
	var all []config6.Address
	for _, l := range c.leased {
		if now+time.Second <= l.valid {
			all = append(all, config6.Address{
				Address: netip.PrefixFrom(l.address, 128), Preferred: max(l.preferred-now, 0), Valid: l.valid - now,
			})
		}
	}
	return all
}

func (e *Engine) tickDHCP(now time.Duration) []Action {
	c := &e.dhcp
	if now < c.deadline {
		return nil
	}
	switch {
	case !e.linkLocal.IsValid() || c.state == idle:
		c.deadline = never
		return nil
	case c.state == informed:
		c.enter(informing, now)
	case c.state == bound:
		c.enter(renewing, now)
	case c.state == soliciting && c.best != nil:
		best := c.best
		c.enter(requesting, now)
		c.best = best
	case c.state == requesting && c.tries >= maxRequests:
		c.enter(soliciting, now)
	case c.state >= renewing && len(c.leased) == 0:
		c.enter(soliciting, now)
	case c.state == renewing && now >= c.t2:
		c.enter(rebinding, now)
	}
	return e.transmit(now)
}

// transmit sends the message of the current state and schedules its retransmission.
func (e *Engine) transmit(now time.Duration) []Action {
	c := &e.dhcp
	if c.tries == 0 {
		c.xid = e.config.Random() & 0xffffff
	}
	m := &packet6.Message{XID: c.xid, ClientID: c.identifier, Elapsed: max(now-c.started, 0)}
	first, most, end := firstTimeout, c.maxTimeout, never
	if c.state != informing {
		m.Association = &packet6.Association{ID: c.association}
		for _, l := range c.leased {
			m.Association.Addresses = append(m.Association.Addresses, packet6.Address{Address: l.address})
		}
	}
	switch c.state {
	case informing:
		m.Type = packet6.Information
	case soliciting:
		m.Type = packet6.Solicit
	case requesting:
		m.Type, m.ServerID, most = packet6.Request, c.best.ServerID, maxRequestTimeout
		m.Association.Addresses = nil
		for _, l := range usable(c.best, now) {
			m.Association.Addresses = append(m.Association.Addresses, packet6.Address{Address: l.address})
		}
	case renewing:
		m.Type, m.ServerID, first, most, end = packet6.Renew, c.server, firstRenewTimeout, maxRenewTimeout, c.t2
	case rebinding:
		m.Type, first, most, end = packet6.Rebind, firstRenewTimeout, maxRenewTimeout, c.expiry()
	}
	c.schedule(now, first, most, e.config.Random)
	c.deadline = min(c.deadline, max(end, now+time.Second))
	return []Action{e.sendDHCP(m)}
}

func (e *Engine) sendDHCP(m *packet6.Message) Action {
	return Send{Packet: packet6.WrapDHCP(e.linkLocal, m.Marshal()), Station: multicast(packet6.AllServers)}
}

// Association returns the ID of the client's association, for packet6.ParseDHCP.
func (e *Engine) Association() uint32 { return e.dhcp.association }

// ReceiveDHCP handles a message of a DHCPv6 server. A message for another client, or one that the
// state does not expect, has no effect.
func (e *Engine) ReceiveDHCP(m *packet6.Message, now time.Duration) []Action {
	c := &e.dhcp
	if !e.linkLocal.IsValid() || c.tries == 0 || m.XID != c.xid || !bytes.Equal(m.ClientID, c.identifier) {
		return nil
	}
	if m.MaxSolicit >= time.Minute && m.MaxSolicit <= 24*time.Hour && c.state == soliciting {
		c.maxTimeout = m.MaxSolicit
	}
	switch {
	case m.Type == packet6.Advertise && c.state == soliciting:
		if len(usable(m, now)) == 0 {
			return nil
		}
		if c.best == nil || m.Preference > c.best.Preference {
			c.best = m
		}
		// RFC 8415 18.2.1: the first interval is for offers of other servers.
		if c.tries > 1 || m.Preference == 255 {
			c.deadline = now
		}
	case m.Type == packet6.Reply && c.state == informing:
		e.take(m)
		refresh := defaultRefresh
		if m.Refresh > 0 {
			refresh = min(max(m.Refresh, minRefresh), maxRefresh)
		}
		c.enter(informed, now+refresh)
	case m.Type == packet6.Reply && c.state >= requesting && c.state != bound:
		e.receiveReply(m, now)
	}
	return e.Tick(now)
}

func (e *Engine) receiveReply(m *packet6.Message, now time.Duration) {
	c := &e.dhcp
	switch c.state {
	case requesting:
		if !bytes.Equal(m.ServerID, c.best.ServerID) {
			return
		}
	case renewing:
		if !bytes.Equal(m.ServerID, c.server) {
			return
		}
	}
	found := usable(m, now)
	if len(found) == 0 {
		if c.state == requesting {
			c.enter(soliciting, now+declineWait)
		}
		// Otherwise the address stays until it expires, and another server may renew it.
		return
	}
	c.leased, c.server = found, m.ServerID
	shortest := never
	for _, l := range found {
		shortest = min(shortest, max(l.preferred-now, minValid))
	}
	t1, t2 := m.Association.T1, m.Association.T2
	if t1 < minValid/2 || t2 <= t1 || t2 > shortest {
		t1, t2 = shortest/2, shortest/5*4
	}
	// A twentieth earlier, so that clients do not synchronize.
	t1 -= time.Duration(e.config.Random()%1000) * (t1 / 20000)
	c.enter(bound, addTime(now, t1))
	c.t2 = addTime(now, t2)
	e.take(m)
}

// take takes the name servers and domains of a message.
func (e *Engine) take(m *packet6.Message) {
	c := &e.dhcp
	c.servers, c.domains = nil, nil
	for _, s := range m.Servers {
		if len(c.servers) < config6.MaxServers && config6.IsHost(s) {
			c.servers = append(c.servers, s)
		}
	}
	for _, name := range m.Names {
		if len(c.domains) < maxDomains && lease.IsDomain(name) {
			c.domains = append(c.domains, name)
		}
	}
	e.changed = true
}

// usable returns the addresses of a message that the client can take.
func usable(m *packet6.Message, now time.Duration) []leased {
	a := m.Association
	if a == nil || m.Status != packet6.Success || a.Status != packet6.Success || a.T1 > a.T2 && a.T2 > 0 {
		return nil
	}
	var all []leased
	for _, x := range a.Addresses {
		if len(all) < maxLeased && config6.IsHost(x.Address) && x.Valid >= minValid && x.Preferred <= x.Valid {
			all = append(all, leased{x.Address, addTime(now, x.Preferred), addTime(now, x.Valid)})
		}
	}
	return all
}

// declineDHCP gives up an address that another station has (RFC 8415 18.2.8).
func (e *Engine) declineDHCP(address netip.Addr, now time.Duration) []Action {
	c := &e.dhcp
	at := slices.IndexFunc(c.leased, func(l leased) bool { return l.address == address })
	if at < 0 || c.state < bound || !e.linkLocal.IsValid() {
		return nil
	}
	send := e.returnAddresses(packet6.Decline)
	c.leased, e.changed = nil, true
	c.enter(soliciting, now+declineWait)
	return []Action{send}
}

// Release gives the leased addresses back to their server.
func (e *Engine) Release(now time.Duration) []Action {
	c := &e.dhcp
	if len(c.leased) == 0 || c.state < bound || !e.linkLocal.IsValid() {
		return nil
	}
	send := e.returnAddresses(packet6.Release)
	c.leased = nil
	c.stop()
	e.changed, e.applied = true, now-applyInterval
	return append([]Action{send}, e.apply(now)...)
}

func (e *Engine) returnAddresses(kind packet6.Type) Action {
	c := &e.dhcp
	m := &packet6.Message{
		Type: kind, XID: e.config.Random() & 0xffffff, ClientID: c.identifier, ServerID: c.server,
		Association: &packet6.Association{ID: c.association},
	}
	for _, l := range c.leased {
		m.Association.Addresses = append(m.Association.Addresses, packet6.Address{Address: l.address})
	}
	return e.sendDHCP(m)
}
