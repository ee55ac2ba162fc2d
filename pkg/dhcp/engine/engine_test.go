package engine

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"lkt/dhcp/packet"
)

var (
	hardware = packet.HardwareAddr{2, 0, 0, 0, 0, 1}
	server   = netip.MustParseAddr("10.0.2.2")
	other    = netip.MustParseAddr("10.0.2.3")
	own      = netip.MustParseAddr("10.0.2.15")
)

// conversation drives an engine and keeps a line for everything it does.
type conversation struct {
	t      *testing.T
	engine *Engine
	now    time.Duration
	last   *packet.Message
	lines  []string
}

func start(t *testing.T, known string) *conversation {
	t.Helper()
	c := &conversation{t: t, now: time.Hour}
	n := uint32(0)
	config := Config{Hardware: hardware, HostName: "lkt", Random: func() uint32 { n += 1000; return n }}
	if known != "" {
		config.Known = netip.MustParseAddr(known)
	}
	var actions []Action
	c.engine, actions = New(config, c.now)
	c.note(actions)
	return c
}

func (c *conversation) note(actions []Action) {
	for _, a := range actions {
		switch a := a.(type) {
		case Send:
			c.last = a.Message
			c.lines = append(c.lines, fmt.Sprintf("%s %s>%s", kind(a.Message), a.From, a.To))
		case Bound:
			word := "bound"
			if a.Renewed {
				word = "renewed"
			}
			c.lines = append(c.lines, fmt.Sprintf("%s %s", word, a.Lease.Address))
		case Lost:
			c.lines = append(c.lines, "lost")
		}
	}
}

func kind(m *packet.Message) string {
	if m.Type == packet.Discover {
		return "discover"
	}
	name := "request"
	if m.Client.IsValid() {
		name += " ciaddr=" + m.Client.String()
	}
	if v, ok := m.Options[packet.OptionRequestedAddress]; ok {
		name += fmt.Sprintf(" asks=%s", netip.AddrFrom4([4]byte(v)))
	}
	if _, ok := m.Options[packet.OptionServer]; ok {
		name += " server"
	}
	return name
}

// answer gives the engine a server's message, changed by the given functions.
func (c *conversation) answer(kind packet.Type, changes ...func(*packet.Message)) {
	m := &packet.Message{
		Type: kind, XID: c.engine.xid, Hardware: hardware, Your: own,
		Options: map[byte][]byte{
			packet.OptionServer:     bytesOf(server),
			packet.OptionSubnetMask: {255, 255, 255, 0},
			packet.OptionLeaseTime:  {0, 0, 14, 16}, // an hour
			packet.OptionRouters:    bytesOf(server),
		},
	}
	for _, change := range changes {
		change(m)
	}
	c.note(c.engine.Receive(m, c.now))
}

// wait lets time pass, and the engine do what is due.
func (c *conversation) wait(d time.Duration) {
	end := c.now + d
	for c.engine.Deadline() <= end {
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

func from(a netip.Addr) func(*packet.Message) {
	return func(m *packet.Message) { m.Options[packet.OptionServer] = bytesOf(a) }
}

func option(code byte, v ...byte) func(*packet.Message) {
	return func(m *packet.Message) { m.Options[code] = v }
}

func without(code byte) func(*packet.Message) {
	return func(m *packet.Message) { delete(m.Options, code) }
}

func gives(a string) func(*packet.Message) {
	return func(m *packet.Message) { m.Your = netip.MustParseAddr(a) }
}

const (
	discover = "discover 0.0.0.0>255.255.255.255"
	request  = "request asks=10.0.2.15 server 0.0.0.0>255.255.255.255"
	reboot   = "request asks=10.0.2.15 0.0.0.0>255.255.255.255"
	renew    = "request ciaddr=10.0.2.15 10.0.2.15>10.0.2.2"
	rebind   = "request ciaddr=10.0.2.15 10.0.2.15>255.255.255.255"
	isBound  = "bound 10.0.2.15/24"
)

func boundClient(t *testing.T) *conversation {
	c := start(t, "")
	c.answer(packet.Offer)
	c.answer(packet.Ack)
	c.expect(discover, request, isBound)
	return c
}

func TestAnAddressIsOfferedAndTaken(t *testing.T) { boundClient(t) }

func TestDiscoverIsRepeatedEverMoreSlowly(t *testing.T) {
	c := start(t, "")
	var times []time.Duration
	for range 7 {
		times = append(times, c.engine.Deadline()-c.now)
		c.wait(c.engine.Deadline() - c.now)
	}
	for i, want := range []time.Duration{4, 8, 16, 32, 64, 64, 64} {
		if d := times[i] - want*time.Second; d < -time.Second || d > time.Second {
			t.Errorf("wait %d: %v", i, times[i])
		}
	}
}

func TestTheTransactionGoesOnUnderOneNumber(t *testing.T) {
	c := start(t, "")
	xid := c.last.XID
	c.wait(5 * time.Second)
	c.answer(packet.Offer)
	if c.last.XID != xid || c.last.Secs != 5 {
		t.Errorf("xid %d after %d, %d seconds", c.last.XID, xid, c.last.Secs)
	}
}

func TestRequestWithoutAnAnswerStartsAgain(t *testing.T) {
	c := start(t, "")
	c.answer(packet.Offer)
	for range maxRequests {
		c.wait(c.engine.Deadline() - c.now)
	}
	c.expect(discover, request, request, request, request, discover)
}

func TestNakToARequestStartsAgain(t *testing.T) {
	c := start(t, "")
	c.answer(packet.Offer)
	c.answer(packet.Nak)
	c.expect(discover, request, discover)
}

func TestWhatIsNotForThisTransactionIsDropped(t *testing.T) {
	for name, change := range map[string]func(*packet.Message){
		"xid":      func(m *packet.Message) { m.XID++ },
		"hardware": func(m *packet.Message) { m.Hardware[5]++ },
	} {
		c := start(t, "")
		c.answer(packet.Offer, change)
		c.answer(packet.Nak, change)
		if len(c.lines) != 1 {
			t.Errorf("%s: %v", name, c.lines)
		}
	}
	c := start(t, "")
	c.answer(packet.Ack) // nothing was asked for
	c.answer(packet.Nak)
	c.expect(discover)
	c.answer(packet.Offer)
	c.answer(packet.Ack, from(other))
	c.answer(packet.Nak, from(other))
	c.answer(packet.Ack, gives("10.0.2.77"))
	c.answer(packet.Offer, from(other))
	c.expect(request)
}

func TestALeaseIsRenewedWithItsServer(t *testing.T) {
	c := boundClient(t)
	c.wait(30*time.Minute - time.Second)
	c.expect()
	c.wait(time.Second)
	c.expect(renew)
	c.answer(packet.Ack, from(other))
	c.expect()
	c.answer(packet.Ack)
	c.expect("renewed 10.0.2.15/24")
	c.wait(30 * time.Minute)
	c.expect(renew)
}

func TestALeaseIsReboundWithAnyServer(t *testing.T) {
	c := boundClient(t)
	c.wait(52*time.Minute + 30*time.Second)
	if n := len(c.lines); n < 3 || c.lines[n-2] != renew || c.lines[n-1] != rebind {
		t.Errorf("got %v", c.lines)
	}
	c.lines = nil
	c.answer(packet.Ack, from(other))
	c.expect("renewed 10.0.2.15/24")
}

func TestALeaseEnds(t *testing.T) {
	c := boundClient(t)
	c.wait(time.Hour - time.Millisecond)
	for _, line := range c.lines {
		if line != renew && line != rebind {
			t.Errorf("got %s", line)
		}
	}
	c.lines = nil
	c.wait(time.Millisecond)
	c.expect("lost", discover)
	c.answer(packet.Offer)
	c.answer(packet.Ack)
	c.expect(request, isBound)
}

func TestTheLeaseCountsFromTheRequest(t *testing.T) {
	c := start(t, "")
	c.answer(packet.Offer)
	c.now += 3 * time.Second // the ACK is slow
	c.answer(packet.Ack)
	if got := c.engine.Deadline() - c.now; got != 30*time.Minute-3*time.Second {
		t.Errorf("renewed in %v", got)
	}
}

func TestARefusedRenewalLosesTheAddress(t *testing.T) {
	c := boundClient(t)
	c.wait(30 * time.Minute)
	c.answer(packet.Nak, from(other))
	c.expect(renew)
	c.answer(packet.Nak)
	c.expect("lost", discover)
}

func TestALeaseForeverIsNotRenewed(t *testing.T) {
	c := start(t, "")
	c.answer(packet.Offer)
	c.answer(packet.Ack, option(packet.OptionLeaseTime, 255, 255, 255, 255))
	c.expect(discover, request, isBound)
	c.wait(20 * 365 * 24 * time.Hour)
	c.expect()
}

func TestAKnownAddressIsAskedForFirst(t *testing.T) {
	c := start(t, "10.0.2.15")
	c.answer(packet.Ack, gives("10.0.2.16"))
	c.answer(packet.Ack)
	c.expect(reboot, isBound)

	c = start(t, "10.0.2.15")
	c.answer(packet.Nak)
	c.expect(reboot, discover)

	c = start(t, "10.0.2.15")
	c.wait(14 * time.Second)
	c.expect(reboot, reboot, discover)
}

func TestRenewalTimesOfTheServer(t *testing.T) {
	seconds := func(code byte, n uint16) func(*packet.Message) { return option(code, 0, 0, byte(n>>8), byte(n)) }
	for _, row := range []struct {
		t1, t2 uint16
		want   time.Duration
	}{
		{600, 1200, 600 * time.Second},
		{1200, 600, 30 * time.Minute}, // T1 after T2
		{600, 3600, 30 * time.Minute}, // T2 not before the end
		{0, 1200, 30 * time.Minute},   // would ask without a pause
		{65535, 65535, 30 * time.Minute},
	} {
		c := start(t, "")
		c.answer(packet.Offer)
		c.answer(packet.Ack, seconds(packet.OptionRenewalTime, row.t1), seconds(packet.OptionRebindingTime, row.t2))
		if got := c.engine.Deadline() - c.now; got != row.want {
			t.Errorf("T1 %d, T2 %d: renewed after %v", row.t1, row.t2, got)
		}
	}
}

func TestOffersThatCannotBeUsed(t *testing.T) {
	for name, change := range map[string]func(*packet.Message){
		"no server":         without(packet.OptionServer),
		"server 0":          option(packet.OptionServer, 0, 0, 0, 0),
		"broadcast server":  option(packet.OptionServer, 255, 255, 255, 255),
		"two servers":       option(packet.OptionServer, 10, 0, 2, 2, 10, 0, 2, 3),
		"address 0":         gives("0.0.0.0"),
		"loopback":          gives("127.0.0.1"),
		"multicast":         gives("224.0.0.1"),
		"network's":         gives("10.0.2.0"),
		"broadcast address": gives("10.0.2.255"),
		"mask with holes":   option(packet.OptionSubnetMask, 255, 0, 255, 0),
		"mask 0":            option(packet.OptionSubnetMask, 0, 0, 0, 0),
		"short mask":        option(packet.OptionSubnetMask, 255, 255, 255),
		"no lease":          without(packet.OptionLeaseTime),
		"lease 0":           option(packet.OptionLeaseTime, 0, 0, 0, 0),
		"lease of a second": option(packet.OptionLeaseTime, 0, 0, 0, 1),
		"odd lease":         option(packet.OptionLeaseTime, 1, 0),
	} {
		c := start(t, "")
		c.answer(packet.Offer, change)
		if len(c.lines) != 1 {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestWhatALeaseBrings(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*packet.Message)
		want   string
	}{
		"router":           {option(packet.OptionRouters, 10, 0, 2, 2), "0.0.0.0/0 via 10.0.2.2"},
		"second router":    {option(packet.OptionRouters, 192, 168, 0, 1, 10, 0, 2, 2), "0.0.0.0/0 via 10.0.2.2"},
		"itself as router": {option(packet.OptionRouters, 10, 0, 2, 15), ""},
		"router elsewhere": {option(packet.OptionRouters, 192, 168, 0, 1), ""},
		"cut router":       {option(packet.OptionRouters, 10, 0, 2), ""},
		"classless routes": {
			option(packet.OptionClasslessRoutes, 0, 10, 0, 2, 9, 17, 172, 16, 128, 0, 0, 0, 0),
			"0.0.0.0/0 via 10.0.2.9, 172.16.128.0/17 on link",
		},
		"bad classless routes": {option(packet.OptionClasslessRoutes, 33, 1, 2, 3, 4), "0.0.0.0/0 via 10.0.2.2"},
		"cut classless routes": {option(packet.OptionClasslessRoutes, 24, 10, 0), "0.0.0.0/0 via 10.0.2.2"},
		"name servers":         {option(packet.OptionNameServers, 1, 1, 1, 1, 0, 0, 0, 0), "0.0.0.0/0 via 10.0.2.2, dns 1.1.1.1"},
		"domain":               {option(packet.OptionDomainName, []byte("a.example\x00")...), "0.0.0.0/0 via 10.0.2.2, domain a.example"},
		"domain with a line":   {option(packet.OptionDomainName, []byte("a\nnameserver 6.6.6.6")...), "0.0.0.0/0 via 10.0.2.2"},
		"mtu":                  {option(packet.OptionMTU, 5, 120), "0.0.0.0/0 via 10.0.2.2, mtu 1400"},
		"tiny mtu":             {option(packet.OptionMTU, 0, 68), "0.0.0.0/0 via 10.0.2.2"},
	} {
		c := start(t, "")
		c.answer(packet.Offer)
		c.answer(packet.Ack, row.change)
		if c.engine.lease == nil {
			t.Errorf("%s: refused", name)
			continue
		}
		if got := describe(c.engine.lease); got != row.want {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestAHostNetworkReachesItsRouter(t *testing.T) {
	c := start(t, "")
	c.answer(packet.Offer)
	c.answer(packet.Ack, option(packet.OptionSubnetMask, 255, 255, 255, 255))
	if got := describe(c.engine.lease); got != "10.0.2.2/32 on link, 0.0.0.0/0 via 10.0.2.2" {
		t.Errorf("got %q", got)
	}
}

func describe(l *Lease) string {
	var parts []string
	for _, r := range l.Routes {
		if r.Via.IsValid() {
			parts = append(parts, fmt.Sprintf("%s via %s", r.To, r.Via))
		} else {
			parts = append(parts, fmt.Sprintf("%s on link", r.To))
		}
	}
	for _, a := range l.NameServers {
		parts = append(parts, "dns "+a.String())
	}
	if l.Domain != "" {
		parts = append(parts, "domain "+l.Domain)
	}
	if l.MTU != 0 {
		parts = append(parts, fmt.Sprint("mtu ", l.MTU))
	}
	return strings.Join(parts, ", ")
}

// FuzzReceive checks what must hold whatever a server sends: no panic, no busy loop, and only leases that can be used.
func FuzzReceive(f *testing.F) {
	f.Add([]byte{2, 5, 1, 2, 3}, uint16(30))
	f.Fuzz(func(t *testing.T, script []byte, pause uint16) {
		n := uint32(0)
		now := time.Duration(0)
		e, actions := New(Config{Hardware: hardware, Random: func() uint32 { n++; return n }}, now)
		check := func(actions []Action) {
			for _, a := range actions {
				b, ok := a.(Bound)
				if !ok {
					continue
				}
				if !isUnicast(b.Lease.Address.Addr()) || b.Lease.Time != Forever && (b.Lease.Time < minLease || b.Lease.Renew >= b.Lease.Rebind) {
					t.Fatalf("lease %+v", b.Lease)
				}
			}
			if e.Deadline() <= now {
				t.Fatalf("deadline %v at %v in %v", e.Deadline(), now, e)
			}
		}
		check(actions)
		for len(script) > 2 {
			size := min(int(script[1]), len(script)-2)
			raw := (&packet.Message{Type: packet.Type(script[0]%7 + 1), XID: e.xid, Hardware: hardware, Your: own, Options: map[byte][]byte{
				packet.OptionServer: bytesOf(server), packet.OptionLeaseTime: {0, 0, 1, 0},
			}}).Marshal()
			raw[0] = 2
			raw = append(raw[:240+3+6+6], script[2:2+size]...) // more options after the three
			script = script[2+size:]
			if m, err := packet.Parse(raw); err == nil {
				check(e.Receive(m, now))
			}
			now += time.Duration(pause) * time.Second
			check(e.Tick(now))
		}
	})
}
