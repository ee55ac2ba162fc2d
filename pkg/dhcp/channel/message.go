// Package channel has the messages between the three processes.
package channel

import (
	"encoding/binary"
	"errors"
	"time"

	"lkt/dhcp/engine"
	"lkt/dhcp/lease"
	"lkt/dhcp/packet"
)

// Messages. wire and engine alternate: the engine answers each Frame or Tick with any number of
// Frames and then one Wait, and starts with such an answer. The engine sends Bound, Lost and
// Claimed to the actuator.
type (
	// Frame is a packet from or to the link. Station is its source or destination.
	Frame struct {
		Interface int
		Type      uint16 // packet.EtherIPv4 or packet.EtherARP
		Checksum  bool   // the UDP checksum is complete
		Station   packet.HardwareAddr
		Packet    []byte
	}
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
)

const (
	kindFrame = 1 + iota
	kindTick
	kindWait
	kindBound
	kindLost
	kindClaimed
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
