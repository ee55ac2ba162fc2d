// Package client is the process that runs the engine: it receives frames, and sends frames and
// leases. It uses no other input than the clock.
package client

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"lkt/dhcp/channel"
	"lkt/dhcp/engine"
	"lkt/dhcp/packet"
	"lkt/dhcp/setup"
	"lkt/sandbox"
)

// client has the engines of all interfaces and the channels of the process.
type client struct {
	engines  map[int]*engine.Engine
	wire     sandbox.Conn
	actuator sandbox.Conn
}

// Run works until one of the other processes ends.
func Run(s setup.Setup) error {
	config := engine.Config{HostName: s.HostName, Random: random(s.Seed)}
	switch s.Probes {
	case "fast":
		config.Probes = engine.FastProbes
	case "rfc5227":
		config.Probes = engine.RFC5227Probes
	}
	c := client{engines: map[int]*engine.Engine{}, wire: setup.WireEngine, actuator: setup.EngineActuator}
	for _, i := range s.Interfaces {
		config.Hardware, config.Previous = i.Hardware, i.Previous
		e, actions := engine.New(config, uptime())
		c.engines[i.Index] = e
		if err := c.perform(i.Index, actions); err != nil {
			return err
		}
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

// wait tells the wire when the next engine deadline is.
func (c *client) wait() error {
	now := uptime()
	wait := time.Duration(1<<63 - 1)
	for _, e := range c.engines {
		wait = min(wait, max(e.Deadline()-now, 0))
	}
	return c.wire.Send(channel.Wait{For: wait}.Encode())
}

func (c *client) receive(message any) error {
	now := uptime()
	switch m := message.(type) {
	case channel.Frame:
		e, known := c.engines[m.Interface]
		if !known {
			return fmt.Errorf("frame from unknown interface %d", m.Interface)
		}
		if err := c.perform(m.Interface, deliver(e, m, now)); err != nil {
			return err
		}
	case channel.Tick:
	default:
		return errors.New("unexpected message")
	}
	for index, e := range c.engines {
		if err := c.perform(index, e.Tick(now)); err != nil {
			return err
		}
	}
	return nil
}

// deliver passes a well-formed packet to the engine and ignores others.
func deliver(e *engine.Engine, f channel.Frame, now time.Duration) []engine.Action {
	switch f.Type {
	case packet.EtherARP:
		if a, err := packet.ParseARP(f.Packet); err == nil {
			return e.ReceiveARP(a, now)
		}
	case packet.EtherIPv4:
		payload, err := packet.Unwrap(f.Packet, f.Checksum)
		if err != nil {
			return nil
		}
		if m, err := packet.Parse(payload); err == nil {
			return e.Receive(m, f.Station, now)
		}
	}
	return nil
}

func (c *client) perform(index int, actions []engine.Action) error {
	for _, action := range actions {
		var err error
		switch a := action.(type) {
		case engine.Send:
			err = c.wire.Send(channel.Frame{
				Interface: index, Type: packet.EtherIPv4, Station: a.Station, Packet: packet.Wrap(a.From, a.To, a.Message.Marshal()),
			}.Encode())
		case engine.SendARP:
			err = c.wire.Send(channel.Frame{
				Interface: index, Type: packet.EtherARP, Station: packet.BroadcastAddr, Packet: a.Packet.Marshal(),
			}.Encode())
		case engine.Bound:
			err = c.actuator.Send(channel.Bound{Interface: index, Renewed: a.Renewed, Lease: a.Lease}.Encode())
		case engine.Lost:
			err = c.actuator.Send(channel.Lost{Interface: index, Reason: a.Reason}.Encode())
		case engine.Claimed:
			err = c.actuator.Send(channel.Claimed{Interface: index, Station: a.Station}.Encode())
		}
		if err != nil {
			return err
		}
	}
	return nil
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
