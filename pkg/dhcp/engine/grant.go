package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"lkt/dhcp/lease"
	"lkt/dhcp/packet"
)

// grant is a lease and when to ask for a longer one.
type grant struct {
	lease.Lease
	renew  time.Duration // T1
	rebind time.Duration // T2
}

// readGrant checks an OFFER or an ACK. Options a client can do without are dropped when they are wrong.
func readGrant(m *packet.Message) (*grant, error) {
	g := &grant{}
	var err error
	if g.Server, err = oneAddress(m, packet.OptionServer); err != nil {
		return nil, err
	}
	bits, err := maskBits(m)
	if err != nil {
		return nil, err
	}
	g.Address = netip.PrefixFrom(m.Your, bits)
	if err := g.readTimes(m); err != nil {
		return nil, err
	}
	if err := g.Check(); err != nil { // the address before anything is reckoned from it
		return nil, err
	}
	g.Routes = routes(m, g.Address)
	g.NameServers = addresses(m, packet.OptionNameServers)
	if name := strings.TrimRight(string(m.Options[packet.OptionDomainName]), "\x00."); lease.IsDomain(name) {
		g.Domain = name
	}
	if v := m.Options[packet.OptionMTU]; len(v) == 2 {
		if mtu := int(binary.BigEndian.Uint16(v)); mtu >= lease.MinMTU && mtu <= lease.MaxMTU {
			g.MTU = mtu
		}
	}
	return g, g.Check()
}

func maskBits(m *packet.Message) (int, error) {
	v, given := m.Options[packet.OptionSubnetMask]
	if !given { // the classes of RFC 791
		if !m.Your.Is4() {
			return 0, errors.New("no address")
		}
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

func (g *grant) readTimes(m *packet.Message) error {
	seconds, err := number(m, packet.OptionLeaseTime)
	if err != nil {
		return err
	}
	if seconds == 0 {
		return errors.New("no lease time")
	}
	if seconds == 0xffffffff {
		g.Time = lease.Forever
		return nil
	}
	g.Time = min(time.Duration(seconds)*time.Second, lease.Longest)
	g.renew, g.rebind = g.Time/2, g.Time/8*7
	renew, err1 := number(m, packet.OptionRenewalTime)
	rebind, err2 := number(m, packet.OptionRebindingTime)
	if err1 != nil || err2 != nil {
		return nil
	}
	t1, t2 := time.Duration(renew)*time.Second, time.Duration(rebind)*time.Second
	if t1 >= lease.Shortest/2 && t1 < t2 && t2 < g.Time {
		g.renew, g.rebind = t1, t2
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

// addresses are the usable ones of an option that is a list of addresses.
func addresses(m *packet.Message, code byte) []netip.Addr {
	v := m.Options[code]
	if len(v)%4 != 0 {
		return nil
	}
	var found []netip.Addr
	for ; len(v) > 0 && len(found) < lease.MaxServers; v = v[4:] {
		if a := netip.AddrFrom4([4]byte(v[:4])); lease.IsUnicast(a) {
			found = append(found, a)
		}
	}
	return found
}

func oneAddress(m *packet.Message, code byte) (netip.Addr, error) {
	found := addresses(m, code)
	if len(found) == 0 || len(m.Options[code]) != 4 {
		return netip.Addr{}, fmt.Errorf("option %d is not an address", code)
	}
	return found[0], nil
}
