// Package bounds decides which connections of strangers a server keeps. They have few places, in
// total and per address. A new connection never waits for one: it ends the oldest one of the
// address that has the most, in the network that has the most. So idle connections lock out no
// address, and neither an address nor a network, whose addresses may all be one client's, locks out
// others.
package bounds

import (
	"net/netip"
	"slices"
	"time"
)

// Limits are the maximum numbers of connections.
type Limits struct {
	Total, PerAddress int
	// Time is how long a connection keeps its place.
	Time time.Duration
}

// Table holds the connections, the oldest first.
type Table struct {
	limits Limits
	all    []connection
}

type connection struct {
	id     uint32
	source netip.Prefix
	until  time.Time
}

// New returns an empty table.
func New(limits Limits) *Table { return &Table{limits: limits} }

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
	if len(t.all) >= t.limits.Total {
		ended = append(ended, t.removeOldest(busiest(t.all)))
	}
	t.all = append(t.all, connection{id, source, now.Add(t.limits.Time)})
	return ended
}

// Remove removes a connection, and reports whether it had a place.
func (t *Table) Remove(id uint32) bool {
	before := len(t.all)
	t.all = slices.DeleteFunc(t.all, func(c connection) bool { return c.id == id })
	return len(t.all) < before
}

// Expire removes and returns the connections whose time is over. next is the time of the next one,
// or zero.
func (t *Table) Expire(now time.Time) (ended []uint32, next time.Time) {
	for len(t.all) > 0 && !t.all[0].until.After(now) {
		ended = append(ended, t.all[0].id)
		t.all = t.all[1:]
	}
	if len(t.all) > 0 {
		next = t.all[0].until
	}
	return ended, next
}

func (t *Table) count(source netip.Prefix) int {
	n := 0
	for _, c := range t.all {
		if c.source == source {
			n++
		}
	}
	return n
}

// networks are the sizes of networks that one client may have all addresses of, the largest first.
var networks = map[bool][]int{true: {16, 24, 32}, false: {32, 48, 56, 64}}

// busiest returns the source with the most connections, in the network with the most, in that of
// its networks with the most, and so on. Of several, it is the one with the oldest connection.
func busiest(all []connection) netip.Prefix {
	for level := 0; ; level++ {
		network := func(c connection) netip.Prefix {
			sizes := networks[c.source.Addr().Is4()]
			return netip.PrefixFrom(c.source.Addr(), sizes[min(level, len(sizes)-1)]).Masked()
		}
		groups := map[netip.Prefix][]connection{}
		for _, c := range all {
			groups[network(c)] = append(groups[network(c)], c)
		}
		var best netip.Prefix
		for _, c := range all {
			if len(groups[network(c)]) > len(groups[best]) {
				best = network(c)
			}
		}
		all = groups[best]
		if best == all[0].source {
			return best
		}
	}
}

func (t *Table) removeOldest(source netip.Prefix) uint32 {
	i := slices.IndexFunc(t.all, func(c connection) bool { return c.source == source })
	id := t.all[i].id
	t.all = slices.Delete(t.all, i, i+1)
	return id
}
