package packet

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// EtherType values.
const (
	EtherIPv4 = 0x0800
	EtherARP  = 0x0806
)

// ARPSize is the size of an ARP packet in bytes.
const ARPSize = 28

// ARP is an ARP packet (RFC 826) for IPv4 on Ethernet.
type ARP struct {
	Reply          bool
	Sender         HardwareAddr
	SenderIP       netip.Addr
	TargetHardware HardwareAddr
	TargetIP       netip.Addr
}

// ParseARP parses a packet without its link-layer header. Padding may follow the packet.
func ParseARP(b []byte) (*ARP, error) {
	if len(b) < ARPSize {
		return nil, errors.New("short ARP")
	}
	operation := binary.BigEndian.Uint16(b[6:])
	if binary.BigEndian.Uint16(b) != ethernet || binary.BigEndian.Uint16(b[2:]) != EtherIPv4 || b[4] != 6 || b[5] != 4 ||
		operation != 1 && operation != 2 {
		return nil, errors.New("not ARP for IPv4 on Ethernet")
	}
	return &ARP{
		Reply:          operation == 2,
		Sender:         HardwareAddr(b[8:14]),
		SenderIP:       netip.AddrFrom4([4]byte(b[14:18])),
		TargetHardware: HardwareAddr(b[18:24]),
		TargetIP:       netip.AddrFrom4([4]byte(b[24:28])),
	}, nil
}

// Marshal returns the packet without a link-layer header.
func (a *ARP) Marshal() []byte {
	operation := byte(1)
	if a.Reply {
		operation = 2
	}
	b := []byte{0, ethernet, EtherIPv4 >> 8, EtherIPv4 & 255, 6, 4, 0, operation}
	b = append(b, a.Sender[:]...)
	sender, target := a.SenderIP.As4(), a.TargetIP.As4()
	b = append(b, sender[:]...)
	b = append(b, a.TargetHardware[:]...)
	return append(b, target[:]...)
}
