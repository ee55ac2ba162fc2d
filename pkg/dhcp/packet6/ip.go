// Package packet6 reads and writes router advertisements (RFC 4861, 8106) and DHCPv6 messages (RFC
// 8415) with their IPv6 headers. It validates everything that it reads.
package packet6

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// EtherIPv6 is the EtherType of IPv6.
const EtherIPv6 = 0x86dd

// The UDP ports of DHCPv6.
const (
	ClientPort = 546
	ServerPort = 547
)

const (
	ipSize  = 40
	udpSize = 8
	udp     = 17
	icmp    = 58
	// maxHops is the hop limit of packets that no router has forwarded.
	maxHops = 255
)

// Multicast groups.
var (
	AllRouters = netip.MustParseAddr("ff02::2")
	AllServers = netip.MustParseAddr("ff02::1:2")
)

// Packet is the content of an IPv6 packet without extension headers.
type Packet struct {
	From, To netip.Addr
	Protocol byte
	Hops     byte
	Payload  []byte
}

// IsAdvertisement reports whether the packet is a router advertisement.
func (p *Packet) IsAdvertisement() bool {
	return p.Protocol == icmp && p.Payload[0] == typeAdvertisement
}

// Unwrap parses a packet to this client: a router advertisement, or a message of a DHCPv6 server,
// of which it returns the UDP payload. Both come from a link-local address. It ignores the checksum
// if checksumComplete is false: the kernel leaves it incomplete in packets that never left the
// machine.
func Unwrap(b []byte, checksumComplete bool) (*Packet, error) {
	if len(b) < ipSize || b[0]>>4 != 6 {
		return nil, errors.New("not IPv6")
	}
	size := int(binary.BigEndian.Uint16(b[4:]))
	if len(b) < ipSize+size || size < udpSize {
		return nil, errors.New("invalid IPv6 length")
	}
	p := &Packet{
		From: netip.AddrFrom16([16]byte(b[8:24])), To: netip.AddrFrom16([16]byte(b[24:40])),
		Protocol: b[6], Hops: b[7], Payload: b[ipSize : ipSize+size],
	}
	if !p.From.IsLinkLocalUnicast() {
		return nil, errors.New("not from a link-local address")
	}
	if checksumComplete && checksum(p) != 0xffff {
		return nil, errors.New("invalid checksum")
	}
	switch p.Protocol {
	case icmp:
		if p.Hops != maxHops || p.Payload[0] != typeAdvertisement || p.Payload[1] != 0 {
			return nil, errors.New("not a router advertisement of this link")
		}
		return p, nil
	case udp:
		u := p.Payload
		if binary.BigEndian.Uint16(u) != ServerPort || binary.BigEndian.Uint16(u[2:]) != ClientPort {
			return nil, errors.New("unexpected ports")
		}
		if int(binary.BigEndian.Uint16(u[4:])) != len(u) || binary.BigEndian.Uint16(u[6:]) == 0 {
			return nil, errors.New("invalid UDP header")
		}
		p.Payload = u[udpSize:]
		return p, nil
	}
	return nil, errors.New("unexpected protocol")
}

// wrap returns an IPv6 packet. The checksum in the payload, at the given offset, must be 0.
func wrap(from, to netip.Addr, protocol, hops byte, payload []byte, at int) []byte {
	source, target := from.As16(), to.As16()
	b := []byte{0x60, 0, 0, 0, byte(len(payload) >> 8), byte(len(payload)), protocol, hops}
	b = append(append(append(b, source[:]...), target[:]...), payload...)
	check := ^checksum(&Packet{From: from, To: to, Protocol: protocol, Payload: payload})
	if check == 0 {
		check = 0xffff
	}
	binary.BigEndian.PutUint16(b[ipSize+at:], check)
	return b
}

// WrapDHCP returns the packet with a client's message to all servers.
func WrapDHCP(from netip.Addr, message []byte) []byte {
	u := binary.BigEndian.AppendUint16(nil, ClientPort)
	u = binary.BigEndian.AppendUint16(u, ServerPort)
	u = binary.BigEndian.AppendUint16(u, uint16(udpSize+len(message)))
	u = append(append(u, 0, 0), message...)
	return wrap(from, AllServers, udp, 1, u, 6)
}

// IsFromClient reports whether b is a packet that a client with the link-local address may send: a
// router solicitation, or a DHCPv6 message to all servers, in the form that this package writes.
func IsFromClient(b []byte, own netip.Addr) bool {
	if len(b) < ipSize+udpSize || b[0] != 0x60 || int(binary.BigEndian.Uint16(b[4:])) != len(b)-ipSize {
		return false
	}
	from, to := netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	if from != own || !own.IsLinkLocalUnicast() {
		return false
	}
	p := b[ipSize:]
	switch b[6] {
	case icmp:
		return to == AllRouters && b[7] == maxHops && p[0] == typeSolicitation && p[1] == 0 && len(p) == solicitationSize
	case udp:
		return to == AllServers && binary.BigEndian.Uint16(p) == ClientPort && binary.BigEndian.Uint16(p[2:]) == ServerPort &&
			int(binary.BigEndian.Uint16(p[4:])) == len(p)
	}
	return false
}

// checksum returns the ones' complement sum of RFC 8200 section 8.1.
func checksum(p *Packet) uint16 {
	source, target := p.From.As16(), p.To.As16()
	total := uint32(p.Protocol) + uint32(len(p.Payload))
	for _, b := range [][]byte{source[:], target[:], p.Payload} {
		for ; len(b) >= 2; b = b[2:] {
			total += uint32(binary.BigEndian.Uint16(b))
		}
		if len(b) == 1 {
			total += uint32(b[0]) << 8
		}
	}
	for total > 0xffff {
		total = total>>16 + total&0xffff
	}
	return uint16(total)
}
