// Package channel has the messages between the three processes.
package channel

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"lkt/dhcp/config6"
	"lkt/dhcp/engine"
	"lkt/dhcp/lease"
	"lkt/dhcp/packet"
)

// Messages. wire and engine alternate: the engine answers each Frame, Tick, Link, Duplicate or Stop
// with any number of Frames and then one Wait, and starts with such an answer. The engine sends
// Bound, Lost, Claimed, Paused, Configure and Stopped to the actuator. Interfaces have their
// position in the setup.
type (
	// Frame is a packet from or to the link. Station is its source or destination.
	Frame struct {
		Interface int
		Type      uint16 // packet.EtherIPv4 or packet.EtherARP
		Checksum  bool   // the UDP checksum is complete
		Station   packet.HardwareAddr
		Packet    []byte
	}
	// Link is the state of an interface. LinkLocal is its IPv6 address if it has a unique one.
	Link struct {
		Interface int
		Carrier   bool
		Hardware  packet.HardwareAddr
		LinkLocal netip.Addr
	}
	// Duplicate tells the engine that another station has an address of this one.
	Duplicate struct {
		Interface int
		Address   netip.Addr
	}
	// Stop tells the engine to give its leases back. Without content, it also does so from the
	// actuator to the wire.
	Stop struct{}
	// Tick tells the engine that its Wait is over.
	Tick struct{}
	// Wait tells the wire when to send a Tick.
	Wait struct{ For time.Duration }
	// Bound is a lease to apply.
	Bound struct {
		Interface int
		Renewed   bool
		Lease     *lease.Lease
	}
	// Lost tells the actuator to remove the address.
	Lost struct {
		Interface int
		Reason    engine.Reason
	}
	// Claimed tells the actuator to log a station that claims the address.
	Claimed struct {
		Interface int
		Station   packet.HardwareAddr
	}
	// Configure is the IPv6 configuration of an interface.
	Configure struct {
		Interface int
		Config    *config6.Config
	}
	// Paused tells the actuator to log that the network does without IPv4.
	Paused struct {
		Interface int
		For       time.Duration
	}
	// Stopped tells the actuator that the leases have been given back.
	Stopped struct{}
)

const (
	kindFrame = 1 + iota
	kindTick
	kindWait
	kindBound
	kindLost
	kindClaimed
	kindLink
	kindDuplicate
	kindStop
	kindConfigure
	kindStopped
	kindPaused
)

// Encode returns the message in its wire form.
func (f Frame) Encode() []byte {
	b := binary.BigEndian.AppendUint32([]byte{kindFrame}, uint32(f.Interface))
	b = binary.BigEndian.AppendUint16(b, f.Type)
	b = append(b, flag(f.Checksum))
	b = append(b, f.Station[:]...)
	return append(b, f.Packet...)
}

// Encode returns the message in its wire form.
func (Tick) Encode() []byte { return []byte{kindTick} }

// Encode returns the message in its wire form.
func (w Wait) Encode() []byte { return binary.BigEndian.AppendUint64([]byte{kindWait}, uint64(w.For)) }

// Encode returns the message in its wire form.
func (m Bound) Encode() []byte {
	b := binary.BigEndian.AppendUint32([]byte{kindBound}, uint32(m.Interface))
	return m.Lease.Append(append(b, flag(m.Renewed)))
}

// Encode returns the message in its wire form.
func (m Lost) Encode() []byte {
	b := binary.BigEndian.AppendUint32([]byte{kindLost}, uint32(m.Interface))
	return append(b, byte(m.Reason))
}

// Encode returns the message in its wire form.
func (m Claimed) Encode() []byte {
	b := binary.BigEndian.AppendUint32([]byte{kindClaimed}, uint32(m.Interface))
	return append(b, m.Station[:]...)
}

// Encode returns the message in its wire form.
func (m Link) Encode() []byte {
	b := binary.BigEndian.AppendUint32([]byte{kindLink}, uint32(m.Interface))
	b = append(append(b, flag(m.Carrier)), m.Hardware[:]...)
	return appendIPv6(b, m.LinkLocal)
}

// Encode returns the message in its wire form.
func (m Duplicate) Encode() []byte {
	return appendIPv6(binary.BigEndian.AppendUint32([]byte{kindDuplicate}, uint32(m.Interface)), m.Address)
}

// Encode returns the message in its wire form.
func (Stop) Encode() []byte { return []byte{kindStop} }

// Encode returns the message in its wire form.
func (m Configure) Encode() []byte {
	return m.Config.Append(binary.BigEndian.AppendUint32([]byte{kindConfigure}, uint32(m.Interface)))
}

// Encode returns the message in its wire form.
func (m Paused) Encode() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32([]byte{kindPaused}, uint32(m.Interface)), uint64(m.For))
}

// Encode returns the message in its wire form.
func (Stopped) Encode() []byte { return []byte{kindStopped} }

// Decode parses any message. Messages of other processes are as untrusted as packets from the
// network.
func Decode(b []byte) (any, error) {
	kind, rest := byte(0), b
	if len(b) > 0 {
		kind, rest = b[0], b[1:]
	}
	switch {
	case kind == kindFrame && len(rest) >= 13:
		return Frame{
			Interface: index(rest), Type: binary.BigEndian.Uint16(rest[4:]), Checksum: rest[6] != 0,
			Station: packet.HardwareAddr(rest[7:13]), Packet: rest[13:],
		}, nil
	case kind == kindTick && len(rest) == 0:
		return Tick{}, nil
	case kind == kindWait && len(rest) == 8:
		return Wait{time.Duration(binary.BigEndian.Uint64(rest))}, nil
	case kind == kindBound && len(rest) > 5:
		l, err := lease.Decode(rest[5:])
		if err != nil {
			return nil, err
		}
		return Bound{Interface: index(rest), Renewed: rest[4] != 0, Lease: l}, nil
	case kind == kindLost && len(rest) == 5:
		return Lost{Interface: index(rest), Reason: engine.Reason(rest[4])}, nil
	case kind == kindClaimed && len(rest) == 10:
		return Claimed{Interface: index(rest), Station: packet.HardwareAddr(rest[4:])}, nil
	case kind == kindLink && len(rest) == 27:
		return Link{
			Interface: index(rest), Carrier: rest[4] != 0, Hardware: packet.HardwareAddr(rest[5:11]), LinkLocal: readIPv6(rest[11:]),
		}, nil
	case kind == kindDuplicate && len(rest) == 20:
		return Duplicate{Interface: index(rest), Address: readIPv6(rest[4:])}, nil
	case kind == kindStop && len(rest) == 0:
		return Stop{}, nil
	case kind == kindPaused && len(rest) == 12:
		return Paused{Interface: index(rest), For: time.Duration(binary.BigEndian.Uint64(rest[4:]))}, nil
	case kind == kindStopped && len(rest) == 0:
		return Stopped{}, nil
	case kind == kindConfigure && len(rest) > 4:
		c, err := config6.Decode(rest[4:])
		if err != nil {
			return nil, err
		}
		return Configure{Interface: index(rest), Config: c}, nil
	}
	return nil, errors.New("unknown message")
}

func index(b []byte) int { return int(int32(binary.BigEndian.Uint32(b))) }

func flag(set bool) byte {
	if set {
		return 1
	}
	return 0
}

// appendIPv6 appends an IPv6 address; an invalid one is "::".
func appendIPv6(b []byte, a netip.Addr) []byte {
	if !a.Is6() {
		a = netip.IPv6Unspecified()
	}
	sixteen := a.As16()
	return append(b, sixteen[:]...)
}

func readIPv6(b []byte) netip.Addr {
	if a := netip.AddrFrom16([16]byte(b)); !a.IsUnspecified() {
		return a
	}
	return netip.Addr{}
}
