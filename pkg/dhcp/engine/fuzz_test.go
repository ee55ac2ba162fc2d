package engine

import (
	"testing"
	"time"

	"lkt/dhcp/packet"
)

// FuzzConversation checks invariants against any server and any stations on the link: no panic, no
// busy loop, only leases that pass Lease.Check, and Lost only for an address that was bound.
//
// The script is a list of frames, each preceded by its kind, a delay in tenths of a second, and its
// size. If the low bit of the kind is set, a DHCP message gets the client's transaction ID. The
// kinds 126 and 127 are no frames: the link goes down and up.
func FuzzConversation(f *testing.F) {
	f.Add([]byte(nil), true)
	lasts := func(seconds byte) func(*packet.Message) { return option(packet.OptionLeaseTime, 0, 0, 0, seconds) }
	arp := (&packet.ARP{Sender: neighbor, SenderIP: own, TargetIP: own}).Marshal()
	given := append(scriptedFrame(3, 1, reply(packet.Offer)), scriptedFrame(3, 1, reply(packet.Ack, lasts(20)))...)
	f.Add(given, false)
	f.Add(append(given, scriptedFrame(200, 1, arp)...), false)
	f.Add(append(append(given, scriptedFrame(200, 20, arp)...), scriptedFrame(200, 1, arp)...), false)
	f.Add(append(given, scriptedFrame(3, 110, reply(packet.Ack, lasts(20)))...), false)
	f.Add(append(given, scriptedFrame(3, 110, reply(packet.Nak))...), false)
	f.Add(scriptedFrame(3, 1, reply(packet.Ack, lasts(255))), true)
	f.Add(scriptedFrame(3, 1, reply(packet.Nak)), true)
	f.Add(append(append(given, scriptedFrame(126, 100, nil)...), scriptedFrame(127, 10, nil)...), false)
	f.Add(scriptedFrame(3, 1, reply(packet.Offer, option(packet.OptionClasslessRoutes, 0, 10, 0, 2, 9, 17, 172, 16, 128, 0, 0, 0, 0))), false)
	f.Fuzz(func(t *testing.T, script []byte, previous bool) {
		n := uint32(0)
		config := Config{Hardware: hardware, Probes: FastProbes, Random: func() uint32 { n += 77_777; return n }}
		if previous {
			config.Previous = own
		}
		w := invariants{t: t, held: previous}
		var actions []Action
		w.engine, actions = New(config, 0)
		w.check(actions)
		for len(script) > 4 {
			kind, pause, size := script[0], script[1], min(int(script[2])<<8|int(script[3]), len(script)-4)
			frame := script[4 : 4+size]
			script = script[4+size:]
			w.wait(time.Duration(pause) * time.Second / 10)
			w.check(w.frame(kind, frame))
		}
		w.wait(time.Hour)
	})
}

// reply returns a server message in its wire form.
func reply(kind packet.Type, changes ...func(*packet.Message)) []byte {
	m := &packet.Message{Type: kind, Hardware: hardware, Your: own, Options: map[byte][]byte{
		packet.OptionServer:      bytesOf(server),
		packet.OptionSubnetMask:  {255, 255, 255, 0},
		packet.OptionLeaseTime:   {0, 0, 14, 16},
		packet.OptionRouters:     bytesOf(server),
		packet.OptionNameServers: bytesOf(server),
		packet.OptionDomainName:  []byte("example.org"),
		packet.OptionMTU:         {5, 120},
	}}
	for _, change := range changes {
		change(m)
	}
	b := m.Marshal()
	b[0] = 2
	return b
}

// scripted returns a frame with its script header.
func scriptedFrame(kind, pause byte, frame []byte) []byte {
	return append([]byte{kind, pause, byte(len(frame) >> 8), byte(len(frame))}, frame...)
}

type invariants struct {
	t      *testing.T
	engine *Engine
	now    time.Duration
	held   bool
}

func (w *invariants) frame(kind byte, frame []byte) []Action {
	switch kind {
	case 126:
		w.engine.LinkDown()
		return nil
	case 127:
		return w.engine.LinkUp(w.now)
	}
	if kind >= 128 {
		a, err := packet.ParseARP(frame)
		if err != nil {
			return nil
		}
		return w.engine.ReceiveARP(a, w.now)
	}
	m, err := packet.Parse(frame)
	if err != nil {
		return nil
	}
	m.Hardware = hardware
	if kind&1 != 0 {
		m.XID = w.engine.xid
	}
	return w.engine.Receive(m, station, w.now)
}

// wait advances the time. No script may make the client act more than five times a second, over ten
// seconds or more.
func (w *invariants) wait(d time.Duration) {
	end := w.now + d
	most := 50 + int(d/time.Second)*5
	for w.engine.Deadline() <= end {
		if most--; most < 0 {
			w.t.Fatalf("busy: %v", w.engine)
		}
		w.now = max(w.now, w.engine.Deadline())
		w.check(w.engine.Tick(w.now))
	}
	w.now = end
}

func (w *invariants) check(actions []Action) {
	for _, a := range actions {
		switch a := a.(type) {
		case Bound:
			if err := a.Lease.Check(); err != nil {
				w.t.Fatalf("lease %+v: %v", a.Lease, err)
			}
			w.held = true
		case Lost:
			if !w.held {
				w.t.Fatalf("lost an unbound address: %v", a.Reason)
			}
			w.held = false
		case Send:
			if size := len(a.Message.Marshal()); size > 576-28 {
				w.t.Fatalf("message of %d bytes", size)
			}
		}
	}
}
