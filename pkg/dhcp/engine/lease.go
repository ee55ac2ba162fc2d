package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"lkt/dhcp/packet"
)

// Forever is the time of a lease that does not end.
const Forever = time.Duration(0)

const (
	// minLease keeps a server from making the client busy.
	minLease = 10 * time.Second
	// maxLease keeps the arithmetic of times far from its limits: 30 years are as good as forever.
	maxLease   = 30 * 365 * 24 * time.Hour
	maxServers = 8
	maxRoutes  = 32
)

// Lease is what a server gave, checked. Everything in it is fit to be applied as it is.
type Lease struct {
	Address     netip.Prefix // the address and the size of its subnet
	Server      netip.Addr
	Routes      []Route
	NameServers []netip.Addr
	TimeServers []netip.Addr
	Domain      string
	MTU         int           // 0: not given
	Time        time.Duration // Forever, or how long the address may be used
	Renew       time.Duration // T1
	Rebind      time.Duration // T2
}

// Route is a way to a network. A route without a gateway is on the link.
type Route struct {
	To  netip.Prefix
	Via netip.Addr // invalid for on the link
}

// readLease checks an OFFER or an ACK. Options a client can do without are dropped when they are wrong.
func readLease(m *packet.Message) (*Lease, error) {
	l := &Lease{}
	var err error
	if l.Server, err = oneAddress(m, packet.OptionServer); err != nil {
		return nil, err
	}
	if l.Address, err = address(m); err != nil {
		return nil, err
	}
	if err := l.readTimes(m); err != nil {
		return nil, err
	}
	l.Routes = routes(m, l.Address)
	l.NameServers = addresses(m, packet.OptionNameServers, maxServers)
	l.TimeServers = addresses(m, packet.OptionTimeServers, maxServers)
	l.Domain = domain(m.Options[packet.OptionDomainName])
	if v := m.Options[packet.OptionMTU]; len(v) == 2 {
		// RFC 2132 allows 68; the minimum every IPv4 host must take is 576.
		if mtu := int(binary.BigEndian.Uint16(v)); mtu >= 576 && mtu <= 9216 {
			l.MTU = mtu
		}
	}
	return l, nil
}

func address(m *packet.Message) (netip.Prefix, error) {
	if !isUnicast(m.Your) {
		return netip.Prefix{}, fmt.Errorf("%v is no address for a host", m.Your)
	}
	bits, err := maskBits(m)
	if err != nil {
		return netip.Prefix{}, err
	}
	p := netip.PrefixFrom(m.Your, bits)
	if bits < 31 {
		first, last := limits(p)
		if m.Your == first || m.Your == last {
			return netip.Prefix{}, fmt.Errorf("%v is no address for a host", p)
		}
	}
	return p, nil
}

func maskBits(m *packet.Message) (int, error) {
	v, given := m.Options[packet.OptionSubnetMask]
	if !given { // the classes of RFC 791
		switch first := m.Your.As4()[0]; {
		case first < 128:
			return 8, nil
		case first < 192:
			return 16, nil
		}
		return 24, nil
	}
	if len(v) != 4 {
		return 0, errors.New("bad subnet mask")
	}
	mask := binary.BigEndian.Uint32(v)
	for bits := 1; bits <= 32; bits++ {
		if mask == ^uint32(0)<<(32-bits) {
			return bits, nil
		}
	}
	return 0, fmt.Errorf("bad subnet mask %v", v)
}

func (l *Lease) readTimes(m *packet.Message) error {
	seconds, err := number(m, packet.OptionLeaseTime)
	if err != nil {
		return err
	}
	if seconds == 0 {
		return errors.New("no lease time")
	}
	if seconds == 0xffffffff {
		l.Time = Forever
		return nil
	}
	l.Time = min(time.Duration(seconds)*time.Second, maxLease)
	if l.Time < minLease {
		return fmt.Errorf("a lease of %v is too short", l.Time)
	}
	l.Renew, l.Rebind = l.Time/2, l.Time/8*7
	renew, err1 := number(m, packet.OptionRenewalTime)
	rebind, err2 := number(m, packet.OptionRebindingTime)
	if err1 != nil || err2 != nil {
		return nil
	}
	t1, t2 := time.Duration(renew)*time.Second, time.Duration(rebind)*time.Second
	if t1 >= minLease/2 && t1 < t2 && t2 < l.Time {
		l.Renew, l.Rebind = t1, t2
	}
	return nil
}

// number is the value of an option of four bytes, 0 when it is not there.
func number(m *packet.Message, code byte) (uint32, error) {
	v, given := m.Options[code]
	if !given {
		return 0, nil
	}
	if len(v) != 4 {
		return 0, fmt.Errorf("option %d has %d bytes", code, len(v))
	}
	return binary.BigEndian.Uint32(v), nil
}

// routes are those of option 121, which rules out option 3 (RFC 3442), else the first usable router.
func routes(m *packet.Message, own netip.Prefix) []Route {
	if v, given := m.Options[packet.OptionClasslessRoutes]; given {
		if found, err := classlessRoutes(v); err == nil {
			return found
		}
	}
	for _, router := range addresses(m, packet.OptionRouters, maxServers) {
		if router == own.Addr() {
			continue
		}
		all := Route{To: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Via: router}
		if own.Masked().Contains(router) {
			return []Route{all}
		}
		if own.Bits() == 32 { // a cloud that gives every host a network of its own
			return []Route{{To: netip.PrefixFrom(router, 32)}, all}
		}
	}
	return nil
}

func classlessRoutes(v []byte) ([]Route, error) {
	var found []Route
	for len(v) > 0 {
		bits := int(v[0])
		size := (bits + 7) / 8
		if bits > 32 || len(v) < 1+size+4 || len(found) == maxRoutes {
			return nil, errors.New("bad routes")
		}
		var network [4]byte
		copy(network[:], v[1:1+size])
		to := netip.PrefixFrom(netip.AddrFrom4(network), bits).Masked()
		via := netip.AddrFrom4([4]byte(v[1+size : 5+size]))
		v = v[5+size:]
		route := Route{To: to}
		if !via.IsUnspecified() {
			if !isUnicast(via) {
				return nil, errors.New("bad gateway")
			}
			route.Via = via
		}
		found = append(found, route)
	}
	return found, nil
}

// addresses are the usable ones of an option that is a list of addresses.
func addresses(m *packet.Message, code byte, most int) []netip.Addr {
	v := m.Options[code]
	if len(v)%4 != 0 {
		return nil
	}
	var found []netip.Addr
	for ; len(v) > 0 && len(found) < most; v = v[4:] {
		if a := netip.AddrFrom4([4]byte(v[:4])); isUnicast(a) {
			found = append(found, a)
		}
	}
	return found
}

func oneAddress(m *packet.Message, code byte) (netip.Addr, error) {
	found := addresses(m, code, 1)
	if len(found) == 0 || len(m.Options[code]) != 4 {
		return netip.Addr{}, fmt.Errorf("option %d is not an address", code)
	}
	return found[0], nil
}

// isUnicast leaves out what no host or server can have as its address.
func isUnicast(a netip.Addr) bool {
	return a.Is4() && a.As4()[0] != 0 && !a.IsLoopback() && a.As4()[0] < 224
}

func limits(p netip.Prefix) (first, last netip.Addr) {
	first = p.Masked().Addr()
	four := first.As4()
	n := binary.BigEndian.Uint32(four[:]) | uint32(1<<(32-p.Bits())-1)
	binary.BigEndian.PutUint32(four[:], n)
	return first, netip.AddrFrom4(four)
}

// domain takes a name only when it can do no harm in a file of words and lines.
func domain(v []byte) string {
	name := strings.TrimRight(string(v), "\x00.")
	if len(name) > 253 {
		return ""
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return ""
		}
		for _, c := range []byte(label) {
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return ""
			}
		}
	}
	return name
}
