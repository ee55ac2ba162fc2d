package engine

import (
	"testing"
	"time"

	"lkt/dhcp/packet"
)

// behaviours are what RFC 2131 asks of a client, by section.
var behaviours = []struct {
	section, what string
	known         string // the address the interface has
	play          func(*conversation)
}{
	{"3.1", "an offered address is asked for and taken", "", func(c *conversation) { c.bind() }},
	{"3.1 5", "a NAK to the request starts again", "", func(c *conversation) {
		c.answer(packet.Offer)
		c.answer(packet.Nak)
		c.expect(discover, request, discover)
	}},
	{"3.1 5", "NAKs one after the other are followed ever more slowly", "", func(c *conversation) {
		for _, pause := range []time.Duration{0, 1, 2, 4, 8, 16, 32, 64, 64} {
			c.answer(packet.Offer)
			c.answer(packet.Nak)
			if pause > 0 {
				c.expect(discover, request)
				c.wait(pause*time.Second - time.Millisecond)
				c.answer(packet.Offer)
				c.expect()
				c.wait(time.Millisecond)
			} else {
				c.expect(discover, request, discover)
				c.lines = []string{discover}
			}
		}
	}},
	{"3.1 5", "a request without an answer is repeated, then all starts again", "", func(c *conversation) {
		c.answer(packet.Offer)
		for range maxRequests {
			c.wait(c.engine.Deadline() - c.now)
		}
		c.expect(discover, request, request, request, request, discover)
	}},
	{"3.2", "a known address is asked for first", "10.0.2.15", func(c *conversation) {
		c.answer(packet.Ack, gives("10.0.2.16"))
		c.answer(packet.Ack)
		c.expect(reboot, isBound)
	}},
	{"3.2 3", "a known address that is refused is lost", "10.0.2.15", func(c *conversation) {
		c.answer(packet.Nak)
		c.expect(reboot, refused, discover)
	}},
	{"3.2 4", "a known address nobody answers for stays while another is asked for", "10.0.2.15", func(c *conversation) {
		c.wait(14 * time.Second)
		c.expect(reboot, reboot, discover)
	}},
	{"4.1", "an answer to another transaction is dropped", "", func(c *conversation) {
		other := func(m *packet.Message) { m.XID++ }
		c.answer(packet.Offer, other)
		c.expect(discover)
		c.answer(packet.Offer)
		c.answer(packet.Ack, other)
		c.answer(packet.Nak, other)
		c.expect(request)
	}},
	{"4.1", "an answer to another station is dropped", "", func(c *conversation) {
		c.answer(packet.Offer, func(m *packet.Message) { m.Hardware[5]++ })
		c.expect(discover)
	}},
	{"4.4.1", "what was not asked for is dropped", "", func(c *conversation) {
		c.answer(packet.Ack)
		c.answer(packet.Nak)
		c.expect(discover)
		c.bindFromOffer()
		c.answer(packet.Offer)
		c.answer(packet.Ack)
		c.answer(packet.Nak)
		c.expect()
	}},
	{"4.4.1", "only the chosen server can answer the request", "", func(c *conversation) {
		c.answer(packet.Offer)
		c.answer(packet.Ack, from(other))
		c.answer(packet.Nak, from(other))
		c.answer(packet.Offer, from(other))
		c.expect(discover, request)
	}},
	{"4.4.1", "an ACK for another address than the offered one is dropped", "", func(c *conversation) {
		c.answer(packet.Offer)
		c.answer(packet.Ack, gives("10.0.2.77"))
		c.expect(discover, request)
	}},
	{"4.4.1", "a lease counts from the request, not from the ACK", "", func(c *conversation) {
		c.answer(packet.Offer)
		c.now += 3 * time.Second
		c.answer(packet.Ack)
		c.expect(discover, request, isBound)
		c.wait(30*time.Minute - 4*time.Second)
		c.expect()
		c.wait(time.Second)
		c.expect(renew)
	}},
	{"4.4.1", "an ACK that comes when its lease is over is dropped", "", func(c *conversation) {
		c.answer(packet.Offer)
		c.now += 2 * time.Second
		c.answer(packet.Ack, option(packet.OptionLeaseTime, 0, 0, 0, 2))
		c.now += 9 * time.Second
		c.answer(packet.Ack, option(packet.OptionLeaseTime, 0, 0, 0, 10))
		c.expect(discover, request)
	}},
	{"4.4.5", "a lease is renewed with its server, at T1 each time", "", func(c *conversation) {
		c.bind()
		c.wait(30*time.Minute - time.Second)
		c.expect()
		c.wait(time.Second)
		c.expect(renew)
		c.answer(packet.Ack, from(other))
		c.expect()
		c.answer(packet.Ack)
		c.expect(renewed)
		c.wait(30 * time.Minute)
		c.expect(renew)
	}},
	{"4.4.5", "a request for a longer lease is repeated at half of what is left, a minute at least", "", func(c *conversation) {
		c.bind(option(packet.OptionLeaseTime, 0, 0, 2, 128)) // 640 s: T1 320, T2 560
		c.wait(320 * time.Second)
		c.expect(renew)
		c.wait(119 * time.Second)
		c.expect()
		c.wait(time.Second)
		c.expect(renew)
		c.wait(60 * time.Second)
		c.expect(renew)
		c.wait(60 * time.Second)
		c.expect(rebind)
	}},
	{"4.4.5", "a lease is rebound with any server, at T2", "", func(c *conversation) {
		c.bind()
		c.wait(52*time.Minute + 29*time.Second)
		c.lines = nil
		c.wait(time.Second)
		c.expect(rebind)
		c.answer(packet.Ack, from(other))
		c.expect(renewed)
		c.wait(30 * time.Minute)
		c.expect("request ciaddr=10.0.2.15 10.0.2.15>10.0.2.3")
	}},
	{"4.4.5", "an address is given up when its lease ends", "", func(c *conversation) {
		c.bind()
		c.wait(time.Hour - time.Millisecond)
		c.lines = nil
		c.wait(time.Millisecond)
		c.expect(ended, discover)
		c.bindFromOffer()
	}},
	{"4.4.5", "a lease forever is not renewed", "", func(c *conversation) {
		c.bind(option(packet.OptionLeaseTime, 255, 255, 255, 255))
		c.wait(20 * 365 * 24 * time.Hour)
		c.expect()
	}},
	{"4.4.5", "the longest lease that ends is one of 30 years", "", func(c *conversation) {
		c.bind(option(packet.OptionLeaseTime, 255, 255, 255, 254))
		c.wait(15*365*24*time.Hour - time.Second)
		c.expect()
		c.wait(time.Second)
		c.expect(renew)
	}},
	{"4.4.5", "a NAK of its server takes the address, that of another does not", "", func(c *conversation) {
		c.bind()
		c.wait(30 * time.Minute)
		c.answer(packet.Nak, from(other))
		c.expect(renew)
		c.answer(packet.Nak)
		c.expect(refused, discover)
	}},
	{"4.4.5", "a NAK of any server takes the address when it is rebound", "", func(c *conversation) {
		c.bind()
		c.wait(52*time.Minute + 30*time.Second)
		c.lines = nil
		c.answer(packet.Nak, from(other))
		c.expect(refused, discover)
	}},
	{"4.4.5", "an ACK with another address does not renew", "", func(c *conversation) {
		c.bind()
		c.wait(30 * time.Minute)
		c.answer(packet.Ack, gives("10.0.2.77"))
		c.expect(renew)
	}},
}

func TestRFC2131(t *testing.T) {
	for _, b := range behaviours {
		t.Run(b.section+" "+b.what, func(t *testing.T) { b.play(start(t, b.known)) })
	}
}

// bindFromOffer is bind for a client that has sent its DISCOVER.
func (c *conversation) bindFromOffer() {
	c.t.Helper()
	c.answer(packet.Offer)
	c.answer(packet.Ack)
	c.expect(request, isBound)
}

func TestDiscoverIsRepeatedEverMoreSlowly(t *testing.T) { // RFC 2131 4.1
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

func TestTheTransactionGoesOnUnderOneNumber(t *testing.T) { // RFC 2131 4.4.1
	c := start(t, "")
	xid := c.last.XID
	c.wait(5 * time.Second)
	c.answer(packet.Offer)
	if c.last.XID != xid || c.last.Secs != 5 {
		t.Errorf("xid %d after %d, %d seconds", c.last.XID, xid, c.last.Secs)
	}
}

func TestRenewalTimesOfTheServer(t *testing.T) { // RFC 2131 4.4.5
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
		if got := c.engine.renewal() - c.now; got != row.want {
			t.Errorf("T1 %d, T2 %d: renewed after %v", row.t1, row.t2, got)
		}
	}
}
