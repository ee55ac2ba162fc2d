// Package client is the process that runs the engines: it receives frames and the state of links,
// and sends frames, leases and configurations. It uses no other input than the clock.
package client

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"lkt/dhcp/channel"
	"lkt/dhcp/engine"
	"lkt/dhcp/engine6"
	"lkt/dhcp/packet"
	"lkt/dhcp/packet6"
	"lkt/dhcp/setup"
	"lkt/sandbox"
)

// client has the links and the channels of the process.
type client struct {
	links    []*link
	wire     sandbox.Conn
	actuator sandbox.Conn
}

// Run works until one of the other processes ends.
func Run(s setup.Setup) error {
	config := engine.Config{HostName: s.HostName, Options: s.Options, Jitter: 5, Random: random(s.Seed)}
	switch s.Probes {
	case "fast":
		config.Probes = engine.FastProbes
	case "rfc5227":
		config.Probes = engine.RFC5227Probes
	}
	c := client{wire: setup.WireEngine, actuator: setup.EngineActuator}
	for _, i := range s.Interfaces {
		config.Previous = i.Previous
		l := &link{config: config}
		if s.IPv6 {
			l.config6 = &engine6.Config{Link: i.Name, Secret: s.Secret, Random: config.Random}
		}
		c.links = append(c.links, l)
	}
	buffer := make([]byte, sandbox.MaxMessage)
	for {
		if err := c.wait(); err != nil {
			return err
		}
		raw, err := c.wire.Receive(buffer)
		if err != nil {
			return err
		}
		message, err := channel.Decode(raw)
		if err != nil {
			return err
		}
		if err := c.receive(message); err != nil {
			return err
		}
	}
}

// wait tells the wire when the next deadline of an engine is.
func (c *client) wait() error {
	now := uptime()
	wait := time.Duration(1<<63 - 1)
	for _, l := range c.links {
		wait = min(wait, max(l.deadline()-now, 0))
	}
	return c.wire.Send(channel.Wait{For: wait}.Encode())
}

func (c *client) receive(message any) error {
	now := uptime()
	var err error
	switch m := message.(type) {
	case channel.Frame:
		err = c.at(m.Interface, func(l *link) []any { return l.deliver(m, now) })
	case channel.Link:
		err = c.at(m.Interface, func(l *link) []any { return l.change(m, now) })
	case channel.Duplicate:
		err = c.at(m.Interface, func(l *link) []any { return l.duplicate(m.Address, now) })
	case channel.Tick:
	case channel.Stop:
		for index := range c.links {
			if err := c.at(index, func(l *link) []any { return l.release(now) }); err != nil {
				return err
			}
		}
		return c.actuator.Send(channel.Stopped{}.Encode())
	default:
		return errors.New("unexpected message")
	}
	if err != nil {
		return err
	}
	for index := range c.links {
		if err := c.at(index, func(l *link) []any { return l.tick(now) }); err != nil {
			return err
		}
	}
	return nil
}

// at performs the actions of a link's engines.
func (c *client) at(index int, do func(*link) []any) error {
	if index < 0 || index >= len(c.links) {
		return fmt.Errorf("message about unknown interface %d", index)
	}
	for _, action := range do(c.links[index]) {
		if err := c.perform(index, action); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) perform(index int, action any) error {
	switch a := action.(type) {
	case engine.Send:
		return c.wire.Send(channel.Frame{
			Interface: index, Type: packet.EtherIPv4, Station: a.Station, Packet: packet.Wrap(a.From, a.To, a.Message.Marshal()),
		}.Encode())
	case engine.SendARP:
		return c.wire.Send(channel.Frame{
			Interface: index, Type: packet.EtherARP, Station: packet.BroadcastAddr, Packet: a.Packet.Marshal(),
		}.Encode())
	case engine6.Send:
		return c.wire.Send(channel.Frame{
			Interface: index, Type: packet6.EtherIPv6, Station: a.Station, Packet: a.Packet,
		}.Encode())
	case engine.Bound:
		return c.actuator.Send(channel.Bound{Interface: index, Renewed: a.Renewed, Lease: a.Lease}.Encode())
	case engine.Lost:
		return c.actuator.Send(channel.Lost{Interface: index, Reason: a.Reason}.Encode())
	case engine.Claimed:
		return c.actuator.Send(channel.Claimed{Interface: index, Station: a.Station}.Encode())
	case engine.Paused:
		return c.actuator.Send(channel.Paused{Interface: index, For: a.For}.Encode())
	case engine6.Configure:
		return c.actuator.Send(channel.Configure{Interface: index, Config: a.Config}.Encode())
	}
	return errors.New("unknown action")
}

// random returns a generator with a seed from the kernel, since the sandbox forbids getrandom.
func random(seed []byte) func() uint32 {
	var key [32]byte
	copy(key[:], seed)
	source := rand.NewChaCha8(key)
	return func() uint32 { return uint32(source.Uint64()) }
}

// uptime returns the time since boot. The clock cannot be set and includes suspend, as lease times
// do.
func uptime() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		panic(err)
	}
	return time.Duration(now.Nano())
}
