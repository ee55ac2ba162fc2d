// Package bounds decides which connections a server keeps. Before their login, connections have
// few places, in total and per address. A new connection never waits for them: it ends the oldest
// one of the address that has the most. So idle connections lock out no address, and one address
// locks out no other.
package bounds

import (
	"net/netip"
	"slices"
	"time"
)

// Limits are the maximum numbers of connections.
type Limits struct {
	Unauthenticated, PerAddress, Authenticated int
	// Time is the time for a login.
	Time time.Duration
}

// Table holds the connections.
type Table struct {
	limits Limits
	// waiting are the connections before their login, the oldest first.
	waiting       []waiting
	authenticated map[uint32]bool
}

type waiting struct {
	id     uint32
	source netip.Prefix
	until  time.Time
}

// New returns an empty table.
func New(limits Limits) *Table {
	return &Table{limits: limits, authenticated: map[uint32]bool{}}
}

// Source returns what counts as one address: an IPv4 address, or an IPv6 /64, which one machine
// can use all of.
func Source(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	return netip.PrefixFrom(addr, bits).Masked()
}

// Add adds a connection and returns those to end for it.
func (t *Table) Add(id uint32, addr netip.Addr, now time.Time) []uint32 {
	source := Source(addr)
	var ended []uint32
	if t.count(source) >= t.limits.PerAddress {
		ended = append(ended, t.removeOldest(source))
	}
	if len(t.waiting) >= t.limits.Unauthenticated {
		ended = append(ended, t.removeOldest(t.busiest()))
	}
	t.waiting = append(t.waiting, waiting{id, source, now.Add(t.limits.Time)})
	return ended
}

// Authenticated records a login. It reports whether there is a place for it.
func (t *Table) Authenticated(id uint32) bool {
	if !t.remove(id) || len(t.authenticated) >= t.limits.Authenticated {
		return false
	}
	t.authenticated[id] = true
	return true
}

// Ended removes a connection.
func (t *Table) Ended(id uint32) {
	t.remove(id)
	delete(t.authenticated, id)
}

// Expire removes and returns the connections whose time for the login is over. next is the time of
// the next one, or zero.
func (t *Table) Expire(now time.Time) (ended []uint32, next time.Time) {
	for len(t.waiting) > 0 && !t.waiting[0].until.After(now) {
		ended = append(ended, t.waiting[0].id)
		t.waiting = t.waiting[1:]
	}
	if len(t.waiting) > 0 {
		next = t.waiting[0].until
	}
	return ended, next
}

func (t *Table) count(source netip.Prefix) int {
	n := 0
	for _, w := range t.waiting {
		if w.source == source {
			n++
		}
	}
	return n
}

// busiest returns the source with the most connections; of several, the one with the oldest.
func (t *Table) busiest() netip.Prefix {
	var best netip.Prefix
	most := 0
	for _, w := range t.waiting {
		if n := t.count(w.source); n > most {
			best, most = w.source, n
		}
	}
	return best
}

func (t *Table) removeOldest(source netip.Prefix) uint32 {
	i := slices.IndexFunc(t.waiting, func(w waiting) bool { return w.source == source })
	id := t.waiting[i].id
	t.waiting = slices.Delete(t.waiting, i, i+1)
	return id
}

func (t *Table) remove(id uint32) bool {
	before := len(t.waiting)
	t.waiting = slices.DeleteFunc(t.waiting, func(w waiting) bool { return w.id == id })
	return len(t.waiting) < before
}
