package engine

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"lkt/dhcp/packet"
)

var neighbor = packet.HardwareAddr{2, 0, 0, 0, 0, 77}

// receiveARP delivers an ARP packet to the engine.
func (c *conversation) receiveARP(sender packet.HardwareAddr, reply bool, senderIP, targetIP string) {
	c.note(c.engine.ReceiveARP(&packet.ARP{
		Reply: reply, Sender: sender, SenderIP: netip.MustParseAddr(senderIP), TargetIP: netip.MustParseAddr(targetIP),
	}, c.now))
}

func startProbing(t *testing.T, probes Probes) *conversation {
	c := startWith(t, "", probes)
	c.answer(packet.Offer)
	c.answer(packet.Ack)
	return c
}

func TestProbesAndAnnouncesNewAddress(t *testing.T) {
	c := startProbing(t, FastProbes)
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

func TestRFC5227ProbeTimes(t *testing.T) {
	for range 20 {
		c := startProbing(t, RFC5227Probes)
		begin := c.now
		for c.engine.state == probing {
			c.wait(c.engine.Deadline() - c.now)
		}
		if d := c.now - begin; d < 4*time.Second || d > 7*time.Second {
			t.Errorf("probed for %v", d)
		}
	}
}

func TestDeclinesAddressInUse(t *testing.T) {
	for name, receiveARP := range map[string]func(*conversation){
		"ARP reply":               func(c *conversation) { c.receiveARP(neighbor, true, "10.0.2.15", "0.0.0.0") },
		"ARP request by its user": func(c *conversation) { c.receiveARP(neighbor, false, "10.0.2.15", "10.0.2.1") },
		"another probe":           func(c *conversation) { c.receiveARP(neighbor, false, "0.0.0.0", "10.0.2.15") },
	} {
		t.Run(name, func(t *testing.T) {
			c := startProbing(t, FastProbes)
			receiveARP(c)
			c.expect(discover, request, probe, decline)
			c.wait(declineWait - time.Millisecond)
			c.answer(packet.Ack)
			c.expect()
			c.wait(time.Millisecond)
			c.expect(discover)
		})
	}
}

func TestIgnoresHarmlessARP(t *testing.T) {
	c := startProbing(t, FastProbes)
	c.receiveARP(hardware, false, "0.0.0.0", "10.0.2.15") // our own probe
	c.receiveARP(neighbor, false, "10.0.2.1", "10.0.2.15")
	c.receiveARP(neighbor, true, "10.0.2.14", "10.0.2.15")
	c.expect(discover, request, probe)
	c.wait(time.Second)
	c.expect(probe, probe, isBound, announce)
	c.receiveARP(neighbor, false, "0.0.0.0", "10.0.2.15")
	c.receiveARP(hardware, false, "10.0.2.15", "10.0.2.15")
	c.expect()
}

func TestDefendsAndKeepsBoundAddress(t *testing.T) {
	c := startWith(t, "10.0.2.15", FastProbes)
	c.answer(packet.Ack)
	c.expect(reboot, isBound, announce)
	c.wait(time.Minute)
	c.expect(announce)
	c.receiveARP(neighbor, false, "10.0.2.15", "10.0.2.1")
	c.expect(claimed, announce)
	for range 3 {
		for range 1000 {
			c.receiveARP(neighbor, true, "10.0.2.15", "10.0.2.1")
		}
		c.wait(defendInterval - time.Millisecond)
		c.receiveARP(neighbor, true, "10.0.2.15", "10.0.2.1")
		c.expect()
		c.wait(time.Millisecond)
		c.receiveARP(neighbor, false, "10.0.2.15", "10.0.2.1")
		c.expect(announce)
	}
	for range 3 {
		c.wait(30 * time.Minute)
		c.answer(packet.Ack)
	}
	c.lines = nil
	c.receiveARP(neighbor, true, "10.0.2.15", "10.0.2.1")
	c.expect(claimed, announce)
}

func TestRateLimitsAfterManyConflicts(t *testing.T) {
	c := startWith(t, "", FastProbes)
	for range maxConflicts + 1 {
		c.answer(packet.Offer)
		c.answer(packet.Ack)
		c.receiveARP(neighbor, true, "10.0.2.15", "0.0.0.0")
		c.lines = nil
		c.wait(declineWait)
	}
	c.expect()
	c.wait(rateLimit - declineWait)
	c.expect(discover)
}

func TestIgnoresStationThatClaimsEveryAddress(t *testing.T) {
	c := startWith(t, "", FastProbes)
	for n := range maxClaims + 2 {
		address := fmt.Sprintf("10.0.2.%d", 20+n)
		c.answer(packet.Offer, withAddress(address))
		c.answer(packet.Ack, withAddress(address))
		c.receiveARP(neighbor, true, address, "0.0.0.0")
		if held := c.engine.state == delaying; held != (n < maxClaims) {
			t.Errorf("address %d: %v", n, c.engine)
		}
		if n < maxClaims {
			c.wait(declineWait)
			continue
		}
		c.wait(time.Second)
		if c.engine.state != bound {
			t.Errorf("address %d: %v", n, c.engine)
		}
		c.note(c.engine.restart(c.now))
	}
	// An address that another station has.
	c.answer(packet.Offer)
	c.answer(packet.Ack)
	c.receiveARP(packet.HardwareAddr{2, 0, 0, 0, 0, 78}, true, "10.0.2.15", "0.0.0.0")
	if c.engine.state != delaying {
		t.Errorf("%v", c.engine)
	}
}

// RFC 2131 table 5.
func TestDeclineHasOnlyAllowedOptions(t *testing.T) {
	c := startProbing(t, FastProbes)
	c.receiveARP(neighbor, true, "10.0.2.15", "0.0.0.0")
	for code := range c.last.Options {
		switch code {
		case packet.OptionServer, packet.OptionRequestedAddress, packet.OptionClientID, packet.OptionMessage:
		default:
			t.Errorf("option %d", code)
		}
	}
}
