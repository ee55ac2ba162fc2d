package engine

import (
	"slices"
	"testing"
	"time"

	"lkt/dhcp/packet"
)

const (
	release  = "release ciaddr=10.0.2.15 server 10.0.2.15>10.0.2.2"
	released = "lost: the lease was given back"
)

func TestAsksForItsAddressWhenTheLinkIsUpAgain(t *testing.T) { // RFC 2131 3.2
	c := start(t, "")
	c.bind()
	c.engine.LinkDown()
	c.wait(30 * time.Minute) // no renewal
	c.expect()
	c.note(c.engine.LinkUp(c.now))
	c.expect(reboot)
	c.answer(packet.Ack)
	c.expect(isBound)
	c.engine.LinkDown()
	c.note(c.engine.LinkUp(c.now))
	c.answer(packet.Nak) // another network
	c.expect(reboot, refused, discover)
}

func TestLosesItsAddressWhileTheLinkIsDown(t *testing.T) {
	c := start(t, "")
	c.bind()
	c.engine.LinkDown()
	c.wait(time.Hour)
	c.expect(expired)
	c.wait(time.Hour)
	c.expect()
	c.note(c.engine.LinkUp(c.now))
	c.expect(discover)
	c.note(c.engine.LinkUp(c.now))
	c.expect()
}

func TestForgetsAnOfferWhenTheLinkIsDown(t *testing.T) {
	c := startProbing(t, FastProbes)
	c.engine.LinkDown()
	c.lines = nil
	c.answer(packet.Ack)
	c.receiveARP(neighbor, true, "10.0.2.15", "0.0.0.0")
	c.wait(time.Minute)
	c.expect()
	c.note(c.engine.LinkUp(c.now))
	c.expect(discover)
}

func TestReleasesItsLease(t *testing.T) { // RFC 2131 4.4.6
	c := start(t, "")
	c.note(c.engine.Release())
	c.bind()
	c.note(c.engine.Release())
	c.expect(release, released)
	for code := range c.last.Options {
		if code != packet.OptionServer && code != packet.OptionClientID {
			t.Errorf("option %d", code)
		}
	}
	c.answer(packet.Ack)
	c.wait(2 * time.Hour)
	c.note(c.engine.Release())
	c.expect()
}

func TestDoesWithoutIPv4(t *testing.T) { // RFC 8925
	mostly := func(c *Config) { c.Options = []byte{packet.OptionIPv6Only} }
	for _, row := range []struct {
		value []byte
		want  string
	}{
		{[]byte{0, 0, 2, 88}, "without IPv4 for 10m0s"},
		{[]byte{0, 0, 0, 1}, "without IPv4 for 5m0s"},
		{[]byte{255, 255, 255, 255}, "without IPv4 for 24h0m0s"},
		{[]byte{0, 1}, request},
	} {
		c := startWith(t, "", Probes{}, mostly)
		if !slices.Contains(c.last.Options[packet.OptionParameters], packet.OptionIPv6Only) {
			t.Error("not requested")
		}
		c.answer(packet.Offer, option(packet.OptionIPv6Only, row.value...))
		c.expect(discover, row.want)
	}
	c := startWith(t, "", Probes{}, mostly)
	c.answer(packet.Offer, option(packet.OptionIPv6Only, 0, 0, 1, 44))
	c.lines = nil
	c.wait(5*time.Minute - time.Second)
	c.answer(packet.Offer)
	c.expect()
	c.wait(time.Second)
	c.expect(discover)
	// Only for those who ask.
	c = start(t, "")
	c.answer(packet.Offer, option(packet.OptionIPv6Only, 0, 0, 1, 44))
	c.expect(discover, request)
}

func TestRenewalTimesVary(t *testing.T) { // RFC 2131 4.4.5
	seen := map[time.Duration]bool{}
	for seed := range uint32(20) {
		n := seed * 137
		c := startWith(t, "", Probes{}, func(c *Config) {
			c.Jitter, c.Random = 5, func() uint32 { n += 1357; return n }
		})
		c.answer(packet.Offer)
		c.answer(packet.Ack)
		t1, t2 := c.engine.held.renew, c.engine.held.rebind
		if t1 > 30*time.Minute || t1 < 28*time.Minute+30*time.Second || t2 <= t1 || t2 > 52*time.Minute+30*time.Second {
			t.Errorf("T1 %v, T2 %v", t1, t2)
		}
		seen[t1] = true
	}
	if len(seen) < 10 {
		t.Errorf("%d different times", len(seen))
	}
}
