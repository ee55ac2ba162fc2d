package engine6

import (
	"net/netip"
	"testing"
	"time"

	"lkt/dhcp/config6"
	"lkt/dhcp/packet6"
)

// FuzzConversation checks invariants against any routers, servers and stations of the link: no
// panic, no busy loop, only packets that a client may send, and only configurations that pass
// Check.
//
// The script is a list of packets, each preceded by its kind, a delay in seconds, and its size.
func FuzzConversation(f *testing.F) {
	advertisement := []byte{
		134, 0, 0, 0, 64, 0xc0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0,
		3, 4, 64, 0xc0, 0, 0, 14, 16, 0, 0, 7, 8, 0, 0, 0, 0, 0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		25, 3, 0, 0, 0, 0, 14, 16, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53,
	}
	answer := func(kind byte) []byte {
		b := append([]byte{kind, 0, 0, 0, 0, 2, 0, 10}, server1...)
		b = append(b, 0, 3, 0, 40, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 24)
		sixteen := leased1.As16()
		return append(append(b, sixteen[:]...), 0, 0, 14, 16, 0, 0, 28, 32)
	}
	script := scripted(0, 1, advertisement)
	f.Add(script)
	f.Add(append(script, scripted(1, 2, answer(2))...))
	f.Add(append(append(script, scripted(1, 2, answer(2))...), scripted(1, 3, answer(7))...))
	f.Add(append(append(append(script, scripted(1, 2, answer(2))...), scripted(1, 3, answer(7))...), scripted(3, 200, nil)...))
	f.Add(append(append(script, scripted(2, 1, nil)...), scripted(3, 1, nil)...))
	f.Add(append(append(script, scripted(4, 5, nil)...), scripted(4, 5, nil)...))
	f.Fuzz(func(t *testing.T, script []byte) {
		c := &invariants{t: t}
		n := uint32(0)
		c.engine = New(Config{Hardware: hardware, Link: "eth0", Secret: testSecret, Random: func() uint32 { n += 77_777; return n }}, 0)
		c.check(c.engine.LinkLocal(linkLocal, 0))
		for len(script) > 4 {
			kind, pause, size := script[0], script[1], min(int(script[2])<<8|int(script[3]), len(script)-4)
			data := script[4 : 4+size]
			script = script[4+size:]
			c.wait(time.Duration(pause) * time.Second)
			c.check(c.receive(kind, data))
		}
		c.wait(3 * time.Hour)
		c.check(c.engine.Release(c.now))
	})
}

func scripted(kind, pause byte, data []byte) []byte {
	return append([]byte{kind, pause, byte(len(data) >> 8), byte(len(data))}, data...)
}

type invariants struct {
	t      *testing.T
	engine *Engine
	now    time.Duration
	last   *config6.Config
}

func (c *invariants) receive(kind byte, data []byte) []Action {
	switch kind % 5 {
	case 0:
		if a, err := packet6.ParseAdvertisement(data); err == nil {
			return c.engine.ReceiveAdvertisement(router1, a, c.now)
		}
	case 1: // a server that knows the transaction
		if m, err := packet6.ParseDHCP(insertClient(data, c.engine.dhcp.identifier), c.engine.Association()); err == nil {
			m.XID = c.engine.dhcp.xid
			return c.engine.ReceiveDHCP(m, c.now)
		}
	case 2:
		return c.engine.LinkLocal(netip.Addr{}, c.now)
	case 3:
		return c.engine.LinkLocal(linkLocal, c.now)
	case 4:
		if c.last != nil && len(c.last.Addresses) > 0 {
			return c.engine.Duplicate(c.last.Addresses[0].Address.Addr(), c.now)
		}
	}
	return nil
}

func insertClient(data, identifier []byte) []byte {
	if len(data) < 4 {
		return data
	}
	b := append(append([]byte{}, data[:4]...), 0, 1, 0, byte(len(identifier)))
	return append(append(b, identifier...), data[4:]...)
}

// wait advances the time. No script may make the client act more than five times a second, over ten
// seconds or more.
func (c *invariants) wait(d time.Duration) {
	end := c.now + d
	most := 50 + int(d/time.Second)*5
	for c.engine.Deadline() <= end {
		if most--; most < 0 {
			c.t.Fatalf("busy: %+v", c.engine)
		}
		c.now = max(c.now, c.engine.Deadline())
		c.check(c.engine.Tick(c.now))
	}
	c.now = end
}

func (c *invariants) check(actions []Action) {
	for _, a := range actions {
		switch a := a.(type) {
		case Send:
			if !packet6.IsFromClient(a.Packet, linkLocal) || len(a.Packet) > config6.MinMTU {
				c.t.Fatalf("sent %x", a.Packet)
			}
		case Configure:
			if err := a.Config.Check(); err != nil {
				c.t.Fatalf("%+v: %v", a.Config, err)
			}
			c.last = a.Config
		}
	}
}
