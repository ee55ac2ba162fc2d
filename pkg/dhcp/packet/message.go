// Package packet reads and writes DHCPv4 messages (RFC 2131, 2132, 3396) with their IP and UDP
// headers, and ARP packets. It validates everything that it reads.
package packet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Type is a DHCP message type.
type Type byte

// The message types of RFC 2132 section 9.6.
const (
	Discover Type = 1 + iota
	Offer
	Request
	Decline
	Ack
	Nak
	Release
	Inform
)

// Codes of the options that this client uses (RFC 2132, 3397, 3442, 8925).
const (
	OptionSubnetMask       = 1
	OptionRouters          = 3
	OptionNameServers      = 6
	OptionHostName         = 12
	OptionDomainName       = 15
	OptionMTU              = 26
	OptionBroadcast        = 28
	OptionTimeServers      = 42
	OptionRequestedAddress = 50
	OptionLeaseTime        = 51
	optionOverload         = 52
	optionMessageType      = 53
	OptionServer           = 54
	OptionParameters       = 55
	OptionMessage          = 56
	OptionMaxSize          = 57
	OptionRenewalTime      = 58
	OptionRebindingTime    = 59
	OptionClientID         = 61
	OptionIPv6Only         = 108
	OptionSearch           = 119
	OptionClasslessRoutes  = 121
	optionPad              = 0
	optionEnd              = 255
)

const (
	bootRequest = 1
	bootReply   = 2
	ethernet    = 1
	headerSize  = 240
	// minSize is the minimum size that BOOTP relays accept.
	minSize = 300
)

var cookie = []byte{99, 130, 83, 99}

// HardwareAddr is an Ethernet address.
type HardwareAddr [6]byte

// String returns the address in its usual form: six hexadecimal bytes with colons.
func (h HardwareAddr) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", h[0], h[1], h[2], h[3], h[4], h[5])
}

// BroadcastAddr is the Ethernet broadcast address.
var BroadcastAddr = HardwareAddr{255, 255, 255, 255, 255, 255}

// Message is a DHCP message. Absent addresses are 0.0.0.0.
type Message struct {
	Type                 Type
	XID                  uint32
	Secs                 uint16
	Broadcast            bool
	Client, Your, Server netip.Addr // ciaddr, yiaddr, siaddr
	Hardware             HardwareAddr
	Options              map[byte][]byte
}

// Parse parses a server's reply.
func Parse(b []byte) (*Message, error) {
	if len(b) < headerSize {
		return nil, errors.New("short message")
	}
	if b[0] != bootReply || b[1] != ethernet || b[2] != 6 {
		return nil, errors.New("not a reply to an Ethernet client")
	}
	if string(b[236:240]) != string(cookie) {
		return nil, errors.New("no DHCP magic cookie")
	}
	m := &Message{
		XID:       binary.BigEndian.Uint32(b[4:]),
		Secs:      binary.BigEndian.Uint16(b[8:]),
		Broadcast: b[10]&0x80 != 0,
		Client:    netip.AddrFrom4([4]byte(b[12:16])),
		Your:      netip.AddrFrom4([4]byte(b[16:20])),
		Server:    netip.AddrFrom4([4]byte(b[20:24])),
		Hardware:  HardwareAddr(b[28:34]),
		Options:   map[byte][]byte{},
	}
	if err := readOptions(m.Options, b[headerSize:]); err != nil {
		return nil, err
	}
	// RFC 2132 9.3: the fields file and sname may hold more options.
	overload := m.Options[optionOverload]
	if len(overload) > 1 || len(overload) == 1 && (overload[0] < 1 || overload[0] > 3) {
		return nil, errors.New("invalid option overload")
	}
	if len(overload) == 1 {
		delete(m.Options, optionOverload)
		if overload[0]&1 != 0 {
			if err := readOptions(m.Options, b[108:236]); err != nil {
				return nil, err
			}
		}
		if overload[0]&2 != 0 {
			if err := readOptions(m.Options, b[44:108]); err != nil {
				return nil, err
			}
		}
		delete(m.Options, optionOverload)
	}
	kind := m.Options[optionMessageType]
	if len(kind) != 1 || kind[0] < byte(Discover) || kind[0] > byte(Inform) {
		return nil, errors.New("no message type")
	}
	m.Type = Type(kind[0])
	delete(m.Options, optionMessageType)
	return m, nil
}

// readOptions adds the options in b. It concatenates split options (RFC 3396).
func readOptions(options map[byte][]byte, b []byte) error {
	for len(b) > 0 {
		code := b[0]
		if code == optionEnd {
			return nil
		}
		if code == optionPad {
			b = b[1:]
			continue
		}
		if len(b) < 2 || len(b) < 2+int(b[1]) {
			return fmt.Errorf("option %d is truncated", code)
		}
		options[code] = append(options[code], b[2:2+int(b[1])]...)
		b = b[2+int(b[1]):]
	}
	return nil
}

// Marshal returns the wire form of a client's message.
func (m *Message) Marshal() []byte {
	b := make([]byte, headerSize, minSize)
	b[0], b[1], b[2] = bootRequest, ethernet, 6
	binary.BigEndian.PutUint32(b[4:], m.XID)
	binary.BigEndian.PutUint16(b[8:], m.Secs)
	if m.Broadcast {
		b[10] = 0x80
	}
	for at, address := range map[int]netip.Addr{12: m.Client, 16: m.Your, 20: m.Server} {
		if address.Is4() {
			four := address.As4()
			copy(b[at:], four[:])
		}
	}
	copy(b[28:], m.Hardware[:])
	copy(b[236:], cookie)
	b = append(b, optionMessageType, 1, byte(m.Type))
	codes := make([]byte, 0, len(m.Options))
	for code := range m.Options {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	for _, code := range codes {
		for value := range slices.Chunk(m.Options[code], 255) {
			b = append(b, code, byte(len(value)))
			b = append(b, value...)
		}
	}
	b = append(b, optionEnd)
	for len(b) < minSize {
		b = append(b, optionPad)
	}
	return b
}
