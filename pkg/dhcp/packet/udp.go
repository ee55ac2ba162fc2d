package packet

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// The UDP ports of DHCP.
const (
	ServerPort = 67
	ClientPort = 68
)

const (
	ipSize  = 20
	udpSize = 8
	udp     = 17
)

// Wrap adds the IPv4 and UDP headers of a client's message to payload.
func Wrap(from, to netip.Addr, payload []byte) []byte {
	b := make([]byte, ipSize+udpSize, ipSize+udpSize+len(payload))
	b = append(b, payload...)
	b[0] = 0x45
	b[1] = 0x10 // low delay
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	b[8] = 64
	b[9] = udp
	source, target := from.As4(), to.As4()
	copy(b[12:], source[:])
	copy(b[16:], target[:])
	binary.BigEndian.PutUint16(b[10:], ^sum(0, b[:ipSize]))
	u := b[ipSize:]
	binary.BigEndian.PutUint16(u, ClientPort)
	binary.BigEndian.PutUint16(u[2:], ServerPort)
	binary.BigEndian.PutUint16(u[4:], uint16(len(u)))
	check := ^sum(pseudoSum(b, len(u)), u)
	if check == 0 { // 0 means "no checksum"
		check = 0xffff
	}
	binary.BigEndian.PutUint16(u[6:], check)
	return b
}

// Unwrap returns the UDP payload of an IPv4 packet to the client's port. It ignores the UDP
// checksum if checksumComplete is false: the kernel leaves it incomplete in packets that never left
// the machine.
func Unwrap(b []byte, checksumComplete bool) ([]byte, error) {
	if len(b) < ipSize || b[0]>>4 != 4 {
		return nil, errors.New("not IPv4")
	}
	header := int(b[0]&15) * 4
	total := int(binary.BigEndian.Uint16(b[2:]))
	if header < ipSize || total < header+udpSize || len(b) < total {
		return nil, errors.New("invalid IPv4 length")
	}
	b = b[:total]
	if sum(0, b[:header]) != 0xffff {
		return nil, errors.New("invalid IPv4 checksum")
	}
	if b[9] != udp {
		return nil, errors.New("not UDP")
	}
	if binary.BigEndian.Uint16(b[6:])&0x3fff != 0 {
		return nil, errors.New("IPv4 fragment")
	}
	u := b[header:]
	size := int(binary.BigEndian.Uint16(u[4:]))
	if size < udpSize || size > len(u) {
		return nil, errors.New("invalid UDP length")
	}
	u = u[:size]
	if binary.BigEndian.Uint16(u) != ServerPort || binary.BigEndian.Uint16(u[2:]) != ClientPort {
		return nil, errors.New("unexpected ports")
	}
	if checksumComplete && binary.BigEndian.Uint16(u[6:]) != 0 && sum(pseudoSum(b, size), u) != 0xffff {
		return nil, errors.New("invalid UDP checksum")
	}
	return u[udpSize:], nil
}

// IsFromClient reports whether b is a complete packet from the client port to the server port, in
// the form that Wrap writes.
func IsFromClient(b []byte) bool {
	return len(b) >= ipSize+udpSize && b[0] == 0x45 && b[9] == udp &&
		int(binary.BigEndian.Uint16(b[2:])) == len(b) && binary.BigEndian.Uint16(b[6:])&0x3fff == 0 &&
		binary.BigEndian.Uint16(b[20:]) == ClientPort && binary.BigEndian.Uint16(b[22:]) == ServerPort
}

func pseudoSum(ip []byte, size int) uint32 {
	return uint32(sum(udp+uint32(size), ip[12:20]))
}

// sum returns the ones' complement sum of RFC 1071.
func sum(start uint32, b []byte) uint16 {
	total := start
	for ; len(b) >= 2; b = b[2:] {
		total += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		total += uint32(b[0]) << 8
	}
	for total > 0xffff {
		total = total>>16 + total&0xffff
	}
	return uint16(total)
}
