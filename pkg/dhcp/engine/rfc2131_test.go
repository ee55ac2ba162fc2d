package engine

import (
	"testing"
	"time"

	"lkt/dhcp/packet"
)

// behaviours are the requirements of RFC 2131 for a client, by section.
var behaviours = []struct {
	section, what string
	previous      string // the interface's address from an earlier run
	play          func(*conversation)
}{
	{"3.1", "requests and binds an offered address", "", func(c *conversation) { c.bind() }},
	{"3.1 5", "restarts after a NAK", "", func(c *conversation) {
		c.answer(packet.Offer)
		c.answer(packet.Nak)
		c.expect(discover, request, discover)
	}},
	{"3.1 5", "backs off after consecutive NAKs", "", func(c *conversation) {
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
	{"3.1 5", "retransmits a request, then restarts", "", func(c *conversation) {
		c.answer(packet.Offer)
		for range maxRequests {
			c.wait(c.engine.Deadline() - c.now)
		}
		c.expect(discover, request, request, request, request, discover)
	}},
	{"3.2", "requests its previous address first", "10.0.2.15", func(c *conversation) {
		c.answer(packet.Ack, withAddress("10.0.2.16"))
		c.answer(packet.Ack)
		c.expect(reboot, isBound)
	}},
	{"3.2 3", "loses a previous address after a NAK", "10.0.2.15", func(c *conversation) {
		c.answer(packet.Nak)
		c.expect(reboot, refused, discover)
	}},
	{"3.2 4", "keeps an unconfirmed previous address while it discovers", "10.0.2.15", func(c *conversation) {
		c.wait(14 * time.Second)
		c.expect(reboot, reboot, discover)
	}},
	{"4.1", "ignores replies to other transactions", "", func(c *conversation) {
		other := func(m *packet.Message) { m.XID++ }
		c.answer(packet.Offer, other)
		c.expect(discover)
		c.answer(packet.Offer)
		c.answer(packet.Ack, other)
		c.answer(packet.Nak, other)
		c.expect(request)
	}},
	{"4.1", "ignores replies to other stations", "", func(c *conversation) {
		c.answer(packet.Offer, func(m *packet.Message) { m.Hardware[5]++ })
		c.expect(discover)
	}},
	{"4.4.1", "ignores unsolicited replies", "", func(c *conversation) {
		c.answer(packet.Ack)
		c.answer(packet.Nak)
		c.expect(discover)
		c.bindFromOffer()
		c.answer(packet.Offer)
		c.answer(packet.Ack)
		c.answer(packet.Nak)
		c.expect()
	}},
	{"4.4.1", "accepts an ACK only from the chosen server", "", func(c *conversation) {
		c.answer(packet.Offer)
		c.answer(packet.Ack, from(other))
		c.answer(packet.Nak, from(other))
		c.answer(packet.Offer, from(other))
		c.expect(discover, request)
	}},
	{"4.4.1", "ignores an ACK for another address than the offered one", "", func(c *conversation) {
		c.answer(packet.Offer)
		c.answer(packet.Ack, withAddress("10.0.2.77"))
		c.expect(discover, request)
	}},
	{"4.4.1", "measures the lease from the request, not from the ACK", "", func(c *conversation) {
		c.answer(packet.Offer)
		c.now += 3 * time.Second
		c.answer(packet.Ack)
		c.expect(discover, request, isBound)
		c.wait(30*time.Minute - 4*time.Second)
		c.expect()
		c.wait(time.Second)
		c.expect(renew)
	}},
	{"4.4.1", "ignores an ACK whose lease has expired", "", func(c *conversation) {
		c.answer(packet.Offer)
		c.now += 2 * time.Second
		c.answer(packet.Ack, option(packet.OptionLeaseTime, 0, 0, 0, 2))
		c.now += 9 * time.Second
		c.answer(packet.Ack, option(packet.OptionLeaseTime, 0, 0, 0, 10))
		c.expect(discover, request)
	}},
	{"4.4.5", "renews with its server at T1", "", func(c *conversation) {
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
	{"4.4.5", "retransmits a renewal after half of the remaining time, at least a minute", "", func(c *conversation) {
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
	{"4.4.5", "rebinds with any server at T2", "", func(c *conversation) {
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
	{"4.4.5", "loses the address when its lease expires", "", func(c *conversation) {
		c.bind()
		c.wait(time.Hour - time.Millisecond)
		c.lines = nil
		c.wait(time.Millisecond)
		c.expect(expired, discover)
		c.bindFromOffer()
	}},
	{"4.4.5", "does not renew an infinite lease", "", func(c *conversation) {
		c.bind(option(packet.OptionLeaseTime, 255, 255, 255, 255))
		c.wait(20 * 365 * 24 * time.Hour)
		c.expect()
	}},
	{"4.4.5", "limits a finite lease to 30 years", "", func(c *conversation) {
		c.bind(option(packet.OptionLeaseTime, 255, 255, 255, 254))
		c.wait(15*365*24*time.Hour - time.Second)
		c.expect()
		c.wait(time.Second)
		c.expect(renew)
	}},
	{"4.4.5", "loses the address after a NAK from its server only", "", func(c *conversation) {
		c.bind()
		c.wait(30 * time.Minute)
		c.answer(packet.Nak, from(other))
		c.expect(renew)
		c.answer(packet.Nak)
		c.expect(refused, discover)
	}},
	{"4.4.5", "loses the address after a NAK from any server while rebinding", "", func(c *conversation) {
		c.bind()
		c.wait(52*time.Minute + 30*time.Second)
		c.lines = nil
		c.answer(packet.Nak, from(other))
		c.expect(refused, discover)
	}},
	{"4.4.5", "ignores a renewal with another address", "", func(c *conversation) {
		c.bind()
		c.wait(30 * time.Minute)
		c.answer(packet.Ack, withAddress("10.0.2.77"))
		c.expect(renew)
	}},
}

func TestRFC2131(t *testing.T) {
	for _, b := range behaviours {
		t.Run(b.section+" "+b.what, func(t *testing.T) { b.play(start(t, b.previous)) })
	}
}

// bindFromOffer is bind for a client that has already sent its DISCOVER.
func (c *conversation) bindFromOffer() {
	c.t.Helper()
	c.answer(packet.Offer)
	c.answer(packet.Ack)
	c.expect(request, isBound)
}

func TestDiscoverBacksOff(t *testing.T) { // RFC 2131 4.1
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

func TestRequestKeepsTransactionID(t *testing.T) { // RFC 2131 4.4.1
	c := start(t, "")
	xid := c.last.XID
	c.wait(5 * time.Second)
	c.answer(packet.Offer)
	if c.last.XID != xid || c.last.Secs != 5 {
		t.Errorf("xid %d after %d, %d seconds", c.last.XID, xid, c.last.Secs)
	}
}

func TestServerRenewalTimes(t *testing.T) { // RFC 2131 4.4.5
	seconds := func(code byte, n uint16) func(*packet.Message) { return option(code, 0, 0, byte(n>>8), byte(n)) }
	for _, row := range []struct {
		t1, t2 uint16
		want   time.Duration
	}{
		{600, 1200, 600 * time.Second},
		{1200, 600, 30 * time.Minute}, // T1 after T2
		{600, 3600, 30 * time.Minute}, // T2 not before the end
		{0, 1200, 30 * time.Minute},   // no delay between requests
		{65535, 65535, 30 * time.Minute},
	} {
		c := start(t, "")
		c.answer(packet.Offer)
		c.answer(packet.Ack, seconds(packet.OptionRenewalTime, row.t1), seconds(packet.OptionRebindingTime, row.t2))
		if got := c.engine.renewalTime() - c.now; got != row.want {
			t.Errorf("T1 %d, T2 %d: renewed after %v", row.t1, row.t2, got)
		}
	}
}
