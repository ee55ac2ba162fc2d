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
	station  = packet.HardwareAddr{2, 0, 0, 0, 0, 9}
	own      = netip.MustParseAddr("10.0.2.15")
)

// conversation drives an engine and records a line for each of its actions.
type conversation struct {
	t      *testing.T
	engine *Engine
	now    time.Duration
	last   *packet.Message
	arp    bool // record ARP packets too
	lines  []string
}

// start begins a conversation without ARP probes.
func start(t *testing.T, previous string) *conversation {
	t.Helper()
	return startWith(t, previous, Probes{})
}

func startWith(t *testing.T, previous string, probes Probes, changes ...func(*Config)) *conversation {
	t.Helper()
	c := &conversation{t: t, now: time.Hour, arp: probes.Num > 0}
	n := uint32(0)
	config := Config{Hardware: hardware, HostName: "lkt", Probes: probes, Random: func() uint32 { n += 1000; return n }}
	if previous != "" {
		config.Previous = netip.MustParseAddr(previous)
	}
	for _, change := range changes {
		change(&config)
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
		case SendARP:
			if !c.arp {
				continue
			}
			word := "probe"
			if a.Packet.SenderIP == a.Packet.TargetIP {
				word = "announce"
			}
			c.lines = append(c.lines, fmt.Sprintf("%s %s", word, a.Packet.TargetIP))
		case Bound:
			word := "bound"
			if a.Renewed {
				word = "renewed"
			}
			c.lines = append(c.lines, fmt.Sprintf("%s %s", word, a.Lease.Address))
		case Claimed:
			c.lines = append(c.lines, "claimed by "+a.Station.String())
		case Paused:
			c.lines = append(c.lines, "without IPv4 for "+a.For.String())
		case Lost:
			c.lines = append(c.lines, "lost: "+a.Reason.String())
		}
	}
}

func kind(m *packet.Message) string {
	name := "request"
	switch m.Type {
	case packet.Discover:
		return "discover"
	case packet.Decline:
		name = "decline"
	case packet.Release:
		name = "release"
	}
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

// answer delivers a server message to the engine, modified by the given functions.
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
	c.note(c.engine.Receive(m, station, c.now))
}

// wait advances the time and runs all ticks that are due.
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

func withAddress(a string) func(*packet.Message) {
	return func(m *packet.Message) { m.Your = netip.MustParseAddr(a) }
}

const (
	discover = "discover 0.0.0.0>255.255.255.255"
	request  = "request asks=10.0.2.15 server 0.0.0.0>255.255.255.255"
	reboot   = "request asks=10.0.2.15 0.0.0.0>255.255.255.255"
	renew    = "request ciaddr=10.0.2.15 10.0.2.15>10.0.2.2"
	rebind   = "request ciaddr=10.0.2.15 10.0.2.15>255.255.255.255"
	decline  = "decline asks=10.0.2.15 server 0.0.0.0>255.255.255.255"
	probe    = "probe 10.0.2.15"
	announce = "announce 10.0.2.15"
	isBound  = "bound 10.0.2.15/24"
	renewed  = "renewed 10.0.2.15/24"
	expired  = "lost: the lease expired"
	refused  = "lost: the server refused the address"
	claimed  = "claimed by 02:00:00:00:00:4d"
)

// bind takes a new client to the BOUND state.
func (c *conversation) bind(changes ...func(*packet.Message)) {
	c.t.Helper()
	c.answer(packet.Offer)
	c.answer(packet.Ack, changes...)
	c.expect(discover, request, isBound)
}
