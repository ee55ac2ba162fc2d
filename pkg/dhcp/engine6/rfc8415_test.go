package engine6

import (
	"net/netip"
	"testing"
	"time"

	"lkt/dhcp/packet6"
)

const (
	withLease  = "configure 2001:db8:1::100/128 1h0m0s/2h0m0s, via fe80::a, dns 2001:db8:1::53"
	requestOne = "request 2001:db8:1::100 server"
)

// solicits takes a new client to its first solicitation.
func solicits(t *testing.T) *conversation {
	c := start(t)
	c.advertise(managed, func(a *packet6.Advertisement) { a.Prefixes, a.Lifetime = nil, 9000*time.Second })
	c.expect("configure via fe80::a")
	c.wait(maxDelay)
	c.expect("solicit")
	return c
}

// binds takes a new client to a lease.
func binds(t *testing.T, changes ...func(*packet6.Message)) *conversation {
	c := solicits(t)
	c.answer(packet6.Advertise, func(m *packet6.Message) { m.Preference = 255 })
	c.expect(requestOne)
	c.answer(packet6.Reply, changes...)
	return c
}

func from(server []byte) func(*packet6.Message) {
	return func(m *packet6.Message) { m.ServerID = server }
}

func TestRFC8415(t *testing.T) {
	for name, play := range map[string]func(*testing.T){
		"18.2.1 waits for the best offer": func(t *testing.T) {
			c := solicits(t)
			c.answer(packet6.Advertise, from(server2))
			c.answer(packet6.Advertise, func(m *packet6.Message) { m.Preference = 7 })
			c.answer(packet6.Advertise, from(server2))
			c.expect()
			c.wait(2 * time.Second)
			c.expect(requestOne, requestOne)
			c.answer(packet6.Reply)
			c.expect(withLease)
		},
		"18.2.1 takes an offer with the highest preference at once": func(t *testing.T) { binds(t).expect(withLease) },
		"18.2.1 repeats a solicitation": func(t *testing.T) {
			c := solicits(t)
			c.wait(8 * time.Second)
			c.expect("solicit", "solicit", "solicit")
			c.answer(packet6.Advertise)
			c.expect(requestOne)
		},
		"16 ignores messages for others and without what it needs": func(t *testing.T) {
			c := solicits(t)
			for _, change := range []func(*packet6.Message){
				func(m *packet6.Message) { m.XID++ },
				func(m *packet6.Message) { m.ClientID = server2 },
				func(m *packet6.Message) { m.Association = nil },
				func(m *packet6.Message) { m.Status = packet6.NoAddrsAvail },
				func(m *packet6.Message) { m.Association.Status = packet6.NoAddrsAvail },
				func(m *packet6.Message) { m.Association.Addresses = nil },
				func(m *packet6.Message) { m.Association.Addresses[0].Valid = 0 },
				func(m *packet6.Message) { m.Association.Addresses[0].Preferred = 3 * time.Hour },
				func(m *packet6.Message) { m.Association.Addresses[0].Address = netip.MustParseAddr("ff02::1") },
				func(m *packet6.Message) { m.Association.Addresses[0].Address = linkLocal },
				func(m *packet6.Message) { m.Association.T1, m.Association.T2 = 2*time.Hour, time.Hour },
			} {
				c.answer(packet6.Advertise, func(m *packet6.Message) { m.Preference = 255 }, change)
			}
			c.answer(packet6.Reply)
			c.expect()
		},
		"18.2.2 tries other servers after ten requests": func(t *testing.T) {
			c := solicits(t)
			c.answer(packet6.Advertise, func(m *packet6.Message) { m.Preference = 255 })
			c.expect(requestOne)
			c.answer(packet6.Reply, from(server2))
			for range maxRequests - 1 {
				c.wait(c.engine.Deadline() - c.now)
				c.expect(requestOne)
			}
			c.wait(c.engine.Deadline() - c.now)
			c.expect("solicit")
		},
		"18.2.4 renews at T1 and rebinds at T2": func(t *testing.T) {
			c := binds(t)
			c.expect(withLease)
			c.wait(28 * time.Minute)
			c.expect()
			c.wait(2 * time.Minute)
			if c.lines[0] != "renew 2001:db8:1::100 server" {
				t.Errorf("%q", c.lines)
			}
			c.answer(packet6.Reply, from(server2))
			c.lines = nil
			c.wait(18*time.Minute + 5*time.Second)
			if c.lines[len(c.lines)-1] != "rebind 2001:db8:1::100" {
				t.Errorf("%q", c.lines)
			}
			c.lines = nil
			c.answer(packet6.Reply, from(server2))
			c.expect(withLease)
		},
		"18.2.5 loses the address when no server renews it": func(t *testing.T) {
			c := binds(t)
			c.wait(2 * time.Hour)
			c.lines = nil
			c.wait(time.Minute)
			if len(c.last.Addresses) != 0 || len(c.lines) == 0 || c.lines[len(c.lines)-1] != "solicit" {
				t.Errorf("%+v, %q", c.last, c.lines)
			}
		},
		"18.2.6 asks for configuration only": func(t *testing.T) {
			c := start(t)
			c.advertise(func(a *packet6.Advertisement) { a.Other = true })
			c.expect(usual)
			c.wait(maxDelay)
			c.expect("information")
			c.answer(packet6.Reply, func(m *packet6.Message) { m.Association, m.Names = nil, []string{"example.org", "-x"} })
			if got := c.lines[0]; got != "configure 2001:db8:1::/64 stable 3h59m59s/23h59m59s, link 2001:db8:1::/64, via fe80::a, dns 2001:db8:1::53, search example.org" {
				t.Errorf("%q", got)
			}
			c.lines = nil
			c.wait(15 * time.Minute)
			c.expect()
			for range 75 { // the router stays
				c.wait(20 * time.Minute)
				c.advertise(func(a *packet6.Advertisement) { a.Other = true })
			}
			informations := 0
			for _, line := range c.lines {
				if line == "information" {
					informations++
				}
			}
			if informations == 0 {
				t.Error("not refreshed within a day")
			}
		},
		"18.2.7 releases its address": func(t *testing.T) {
			c := binds(t)
			c.expect(withLease)
			c.note(c.engine.Release(c.now))
			c.expect("release 2001:db8:1::100 server", "configure via fe80::a, dns 2001:db8:1::53")
		},
		"18.2.8 declines an address that another station has": func(t *testing.T) {
			c := binds(t)
			c.expect(withLease)
			c.wait(time.Second)
			c.note(c.engine.Duplicate(leased1, c.now))
			c.expect("decline 2001:db8:1::100 server", "configure via fe80::a, dns 2001:db8:1::53")
			c.wait(declineWait)
			c.expect("solicit")
		},
		"18.2.10 repeats its search when the server has no address": func(t *testing.T) {
			c := solicits(t)
			c.answer(packet6.Advertise, func(m *packet6.Message) { m.Preference = 255 })
			c.answer(packet6.Reply, func(m *packet6.Message) { m.Association.Status = packet6.NotOnLink })
			c.expect(requestOne)
			c.wait(declineWait)
			c.expect("solicit")
		},
		"21.4 chooses times if the server gives none or impossible ones": func(t *testing.T) {
			for _, times := range [][2]time.Duration{{0, 0}, {time.Second, 2 * time.Second}, {time.Hour, 2 * time.Hour}} {
				c := binds(t, func(m *packet6.Message) { m.Association.T1, m.Association.T2 = times[0], times[1] })
				if t1 := c.engine.dhcp.deadline - c.now; t1 < 28*time.Minute || t1 > 30*time.Minute {
					t.Errorf("%v: T1 %v", times, t1)
				}
			}
		},
	} {
		t.Run(name, play)
	}
}
