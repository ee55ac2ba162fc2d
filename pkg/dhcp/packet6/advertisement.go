package packet6

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"
)

const (
	typeSolicitation  = 133
	typeAdvertisement = 134
	// solicitationSize is that of a solicitation with the link-layer address.
	solicitationSize  = 16
	advertisementSize = 16
	optionSource      = 1
	optionPrefix      = 3
	optionMTU         = 5
	optionRDNSS       = 25
	optionDNSSL       = 31
	// maxOptions limits the options of an advertisement.
	maxOptions = 64
)

// Infinite is a lifetime without end.
const Infinite = time.Duration(1<<63 - 1)

// Advertisement is a router advertisement. It leaves out what this client does not use: timers of
// the neighbor cache, the hop limit, and routes, which could take traffic from others (RFC 4191).
type Advertisement struct {
	// Managed and Other ask for DHCPv6: for addresses, or for other configuration only.
	Managed, Other bool
	Preference     int           // of the router: -1, 0 or 1
	Lifetime       time.Duration // of the router; 0 means that it is no default router
	MTU            int           // 0: not given
	Prefixes       []PrefixInfo
	Servers        []Servers
	Domains        []Domains
}

// PrefixInfo is a prefix information option.
type PrefixInfo struct {
	Prefix           netip.Prefix
	OnLink           bool
	Autonomous       bool // hosts may make addresses
	Valid, Preferred time.Duration
}

// Servers is an option with the addresses of name servers.
type Servers struct {
	Addresses []netip.Addr
	Lifetime  time.Duration
}

// Domains is an option with search domains.
type Domains struct {
	Names    []string
	Lifetime time.Duration
}

// ParseAdvertisement parses the ICMPv6 message of a packet that Unwrap has accepted. It leaves out
// invalid options, but a message with an invalid length is an error.
func ParseAdvertisement(b []byte) (*Advertisement, error) {
	if len(b) < advertisementSize {
		return nil, errors.New("short router advertisement")
	}
	a := &Advertisement{
		Managed: b[5]&0x80 != 0, Other: b[5]&0x40 != 0,
		Lifetime: time.Duration(binary.BigEndian.Uint16(b[6:])) * time.Second,
	}
	switch b[5] >> 3 & 3 { // RFC 4191 2.2
	case 1:
		a.Preference = 1
	case 3:
		a.Preference = -1
	}
	rest := b[advertisementSize:]
	for count := 0; len(rest) > 0; count++ {
		if len(rest) < 8 || rest[1] == 0 || len(rest) < int(rest[1])*8 {
			return nil, errors.New("invalid option length")
		}
		if count == maxOptions {
			return nil, errors.New("too many options")
		}
		a.readOption(rest[:int(rest[1])*8])
		rest = rest[int(rest[1])*8:]
	}
	return a, nil
}

func (a *Advertisement) readOption(o []byte) {
	switch {
	case o[0] == optionPrefix && len(o) == 32:
		p := netip.PrefixFrom(netip.AddrFrom16([16]byte(o[16:32])), int(o[2]))
		if !p.IsValid() {
			return
		}
		a.Prefixes = append(a.Prefixes, PrefixInfo{
			Prefix: p.Masked(), OnLink: o[3]&0x80 != 0, Autonomous: o[3]&0x40 != 0,
			Valid: lifetime(o[4:]), Preferred: lifetime(o[8:]),
		})
	case o[0] == optionMTU && len(o) == 8:
		a.MTU = int(min(binary.BigEndian.Uint32(o[4:]), 1<<20))
	case o[0] == optionRDNSS && len(o) >= 24 && len(o)%16 == 8:
		s := Servers{Lifetime: lifetime(o[4:])}
		for at := 8; at < len(o); at += 16 {
			s.Addresses = append(s.Addresses, netip.AddrFrom16([16]byte(o[at:at+16])))
		}
		a.Servers = append(a.Servers, s)
	case o[0] == optionDNSSL && len(o) >= 16:
		if names, err := Names(o[8:]); err == nil {
			a.Domains = append(a.Domains, Domains{Names: names, Lifetime: lifetime(o[4:])})
		}
	}
}

func lifetime(b []byte) time.Duration {
	n := binary.BigEndian.Uint32(b)
	if n == 0xffffffff {
		return Infinite
	}
	return time.Duration(n) * time.Second
}

// Solicitation returns a router solicitation as an IPv6 packet.
func Solicitation(from netip.Addr, hardware [6]byte) []byte {
	message := append([]byte{typeSolicitation, 0, 0, 0, 0, 0, 0, 0, optionSource, 1}, hardware[:]...)
	return wrap(from, AllRouters, icmp, maxHops, message, 2)
}

// Names parses a list of domain names in the uncompressed form of RFC 1035 section 3.1, which
// padding of zeros may follow.
func Names(b []byte) ([]string, error) {
	const maxNames = 32
	var names []string
	for len(b) > 0 {
		name := ""
		for {
			if len(b) == 0 {
				return nil, errors.New("truncated domain name")
			}
			size := int(b[0])
			b = b[1:]
			if size == 0 {
				break
			}
			if size > 63 || size > len(b) || len(name)+size > 253 {
				return nil, errors.New("invalid domain name")
			}
			if name != "" {
				name += "."
			}
			name += string(b[:size])
			b = b[size:]
		}
		if name == "" { // padding
			continue
		}
		if len(names) == maxNames {
			return nil, errors.New("too many domain names")
		}
		names = append(names, name)
	}
	return names, nil
}
