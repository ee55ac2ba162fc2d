package engine

import (
	"net/netip"
	"testing"
	"time"

	"lkt/dhcp/packet"
)

var neighbour = packet.HardwareAddr{2, 0, 0, 0, 0, 77}

// hears gives the engine an ARP packet.
func (c *conversation) hears(sender packet.HardwareAddr, reply bool, senderIP, targetIP string) {
	c.note(c.engine.ReceiveARP(&packet.ARP{
		Reply: reply, Sender: sender, SenderIP: netip.MustParseAddr(senderIP), TargetIP: netip.MustParseAddr(targetIP),
	}, c.now))
}

func probed(t *testing.T, probes Probes) *conversation {
	c := startWith(t, "", probes)
	c.answer(packet.Offer)
	c.answer(packet.Ack)
	return c
}

func TestANewAddressIsProbedAndAnnounced(t *testing.T) {
	c := probed(t, Fast)
	c.expect(discover, request, probe)
	c.wait(99 * time.Millisecond)
	c.expect()
	c.wait(101 * time.Millisecond)
	c.expect(probe, probe)
	c.wait(199 * time.Millisecond)
	c.expect()
	c.wait(time.Millisecond)
	c.expect(isBound, announce)
	c.wait(2 * time.Second)
	c.expect(announce)
	c.wait(20 * time.Minute)
	c.expect()
}

func TestTheTimesOfTheRFC(t *testing.T) {
	for range 20 {
		c := probed(t, Standard)
		begin := c.now
		for c.engine.state == probing {
			c.wait(c.engine.Deadline() - c.now)
		}
		if d := c.now - begin; d < 4*time.Second || d > 7*time.Second {
			t.Errorf("probed for %v", d)
		}
	}
}

func TestAnAddressInUseIsDeclined(t *testing.T) {
	for name, hears := range map[string]func(*conversation){
		"an answer":              func(c *conversation) { c.hears(neighbour, true, "10.0.2.15", "0.0.0.0") },
		"a question of its user": func(c *conversation) { c.hears(neighbour, false, "10.0.2.15", "10.0.2.1") },
		"a probe like our own":   func(c *conversation) { c.hears(neighbour, false, "0.0.0.0", "10.0.2.15") },
	} {
		t.Run(name, func(t *testing.T) {
			c := probed(t, Fast)
			hears(c)
			c.expect(discover, request, probe, decline)
			c.wait(declineWait - time.Millisecond)
			c.answer(packet.Ack)
			c.expect()
			c.wait(time.Millisecond)
			c.expect(discover)
		})
	}
}

func TestWhatIsNoConflict(t *testing.T) {
	c := probed(t, Fast)
	c.hears(hardware, false, "0.0.0.0", "10.0.2.15") // our own probe
	c.hears(neighbour, false, "10.0.2.1", "10.0.2.15")
	c.hears(neighbour, true, "10.0.2.14", "10.0.2.15")
	c.expect(discover, request, probe)
	c.wait(time.Second)
	c.expect(probe, probe, isBound, announce)
	c.hears(neighbour, false, "0.0.0.0", "10.0.2.15")
	c.hears(hardware, false, "10.0.2.15", "10.0.2.15")
	c.expect()
}

func TestAnAddressIsDefendedOnceAndGivenUpTheSecondTime(t *testing.T) {
	c := startWith(t, "10.0.2.15", Fast)
	c.answer(packet.Ack)
	c.expect(reboot, isBound, announce)
	c.wait(time.Minute)
	c.expect(announce)
	for range 3 {
		c.hears(neighbour, false, "10.0.2.15", "10.0.2.1")
		c.expect(announce)
		c.wait(defendInterval)
		c.expect()
	}
	c.hears(neighbour, false, "10.0.2.15", "10.0.2.1")
	c.wait(defendInterval - time.Millisecond)
	c.hears(neighbour, true, "10.0.2.15", "10.0.2.1")
	c.expect(announce, taken, decline)
	c.wait(declineWait)
	c.expect(discover)
}

func TestManyConflictsAreRareQuestions(t *testing.T) {
	c := startWith(t, "", Fast)
	for range maxConflicts + 1 {
		c.answer(packet.Offer)
		c.answer(packet.Ack)
		c.hears(neighbour, true, "10.0.2.15", "0.0.0.0")
		c.lines = nil
		c.wait(declineWait)
	}
	c.expect()
	c.wait(rateLimit - declineWait)
	c.expect(discover)
}

// RFC 2131 table 5.
func TestADeclineSaysNoMoreThanItMay(t *testing.T) {
	c := probed(t, Fast)
	c.hears(neighbour, true, "10.0.2.15", "0.0.0.0")
	for code := range c.last.Options {
		switch code {
		case packet.OptionServer, packet.OptionRequestedAddress, packet.OptionClientID, packet.OptionMessage:
		default:
			t.Errorf("option %d", code)
		}
	}
}
