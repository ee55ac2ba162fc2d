package engine6

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"lkt/dhcp/config6"
	"lkt/dhcp/packet"
	"lkt/dhcp/packet6"
)

var (
	hardware   = packet.HardwareAddr{2, 0, 0, 0, 0, 1}
	linkLocal  = netip.MustParseAddr("fe80::1")
	router1    = netip.MustParseAddr("fe80::a")
	router2    = netip.MustParseAddr("fe80::b")
	prefix1    = netip.MustParsePrefix("2001:db8:1::/64")
	testSecret = []byte("a secret of this machine")
	server1    = []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 9}
	server2    = []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 8}
	leased1    = netip.MustParseAddr("2001:db8:1::100")
	nameServer = netip.MustParseAddr("2001:db8:1::53")
)

// conversation drives an engine and records a line for each of its actions.
type conversation struct {
	t      *testing.T
	engine *Engine
	now    time.Duration
	last   *config6.Config
	lines  []string
}

// start begins a conversation on a link that is up.
func start(t *testing.T) *conversation {
	t.Helper()
	c := &conversation{t: t, now: time.Hour}
	n := uint32(0)
	c.engine = New(Config{Hardware: hardware, Link: "eth0", Secret: testSecret, Random: func() uint32 { n += 1357; return n }}, c.now)
	c.note(c.engine.LinkLocal(linkLocal, c.now))
	c.expect("solicit routers")
	return c
}

func (c *conversation) note(actions []Action) {
	c.t.Helper()
	for _, a := range actions {
		switch a := a.(type) {
		case Send:
			c.lines = append(c.lines, describeSent(c.t, a))
		case Configure:
			if err := a.Config.Check(); err != nil {
				c.t.Errorf("configuration %+v: %v", a.Config, err)
			}
			c.last = a.Config
			c.lines = append(c.lines, describe(a.Config))
		}
	}
}

func describeSent(t *testing.T, s Send) string {
	t.Helper()
	if !packet6.IsFromClient(s.Packet, linkLocal) {
		t.Errorf("a client may not send %x", s.Packet)
	}
	if s.Packet[6] != 17 {
		return "solicit routers"
	}
	b := s.Packet[48:]
	name := map[packet6.Type]string{
		packet6.Solicit: "solicit", packet6.Request: "request", packet6.Renew: "renew", packet6.Rebind: "rebind",
		packet6.Release: "release", packet6.Decline: "decline", packet6.Information: "information",
	}[packet6.Type(b[0])]
	sixteen := leased1.As16()
	if strings.Contains(string(b), string(sixteen[:])) {
		name += " " + leased1.String()
	}
	if strings.Contains(string(b), string(server1)) {
		name += " server"
	}
	return name
}

func describe(c *config6.Config) string {
	var parts []string
	for _, a := range c.Addresses {
		name := a.Address.String()
		if a.Autonomous {
			name = a.Address.Masked().String() + " stable"
		}
		parts = append(parts, fmt.Sprintf("%s %v/%v", name, a.Preferred, a.Valid))
	}
	for _, r := range c.Routes {
		if r.Via.IsValid() {
			parts = append(parts, "via "+r.Via.String())
		} else {
			parts = append(parts, "link "+r.To.String())
		}
	}
	for _, s := range c.Servers {
		parts = append(parts, "dns "+s.String())
	}
	for _, name := range c.Domains {
		parts = append(parts, "search "+name)
	}
	if c.MTU != 0 {
		parts = append(parts, fmt.Sprint("mtu ", c.MTU))
	}
	return "configure " + strings.Join(parts, ", ")
}

// wait advances the time and runs all ticks that are due.
func (c *conversation) wait(d time.Duration) {
	c.t.Helper()
	end := c.now + d
	for most := 10_000; c.engine.Deadline() <= end; most-- {
		if most == 0 {
			c.t.Fatal("busy")
		}
		c.now = max(c.now, c.engine.Deadline())
		c.note(c.engine.Tick(c.now))
	}
	c.now = end
}

func (c *conversation) expect(want ...string) {
	c.t.Helper()
	if got := strings.Join(c.lines, "\n"); got != strings.Join(want, "\n") {
		c.t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	c.lines = nil
}

// advertise delivers the usual router advertisement, modified by the given functions.
func (c *conversation) advertise(changes ...func(*packet6.Advertisement)) {
	c.t.Helper()
	c.advertiseFrom(router1, changes...)
}

func (c *conversation) advertiseFrom(from netip.Addr, changes ...func(*packet6.Advertisement)) {
	c.t.Helper()
	a := &packet6.Advertisement{
		Lifetime: 30 * time.Minute,
		Prefixes: []packet6.PrefixInfo{{Prefix: prefix1, OnLink: true, Autonomous: true, Valid: 24 * time.Hour, Preferred: 4 * time.Hour}},
	}
	for _, change := range changes {
		change(a)
	}
	c.note(c.engine.ReceiveAdvertisement(from, a, c.now))
}

func managed(a *packet6.Advertisement) { a.Managed = true }

func withLifetimes(valid, preferred time.Duration) func(*packet6.Advertisement) {
	return func(a *packet6.Advertisement) { a.Prefixes[0].Valid, a.Prefixes[0].Preferred = valid, preferred }
}

// answer delivers a server message to the engine, modified by the given functions.
func (c *conversation) answer(kind packet6.Type, changes ...func(*packet6.Message)) {
	c.t.Helper()
	m := &packet6.Message{
		Type: kind, XID: c.engine.dhcp.xid, ClientID: c.engine.dhcp.identifier, ServerID: server1,
		Servers: []netip.Addr{nameServer},
		Association: &packet6.Association{
			ID: c.engine.Association(), Addresses: []packet6.Address{{Address: leased1, Preferred: time.Hour, Valid: 2 * time.Hour}},
		},
	}
	for _, change := range changes {
		change(m)
	}
	c.note(c.engine.ReceiveDHCP(m, c.now))
}

const (
	usual   = "configure 2001:db8:1::/64 stable 4h0m0s/24h0m0s, link 2001:db8:1::/64, via fe80::a"
	noRoute = "configure 2001:db8:1::/64 stable 3h30m0s/23h30m0s, link 2001:db8:1::/64"
)
