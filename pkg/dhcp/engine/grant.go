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

// grant is a lease with its renewal and rebinding times.
type grant struct {
	lease.Lease
	renew  time.Duration // T1
	rebind time.Duration // T2
}

// readGrant parses an OFFER or an ACK. It drops invalid options that a client can do without.
func readGrant(m *packet.Message) (*grant, error) {
	g := &grant{}
	var err error
	if g.Server, err = addressOption(m, packet.OptionServer); err != nil {
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
	if err := g.Check(); err != nil { // before anything is derived from the address
		return nil, err
	}
	g.Routes = routes(m, g.Address)
	g.NameServers = addressList(m, packet.OptionNameServers)
	if name := strings.TrimRight(string(m.Options[packet.OptionDomainName]), "\x00."); lease.IsDomain(name) {
		g.Domain = name
	}
	g.TimeServers = addressList(m, packet.OptionTimeServers)
	name := strings.TrimRight(string(m.Options[packet.OptionHostName]), "\x00.")
	if lease.IsDomain(name) && len(name) <= lease.MaxHostName && !strings.Contains(name, "_") {
		g.HostName = name
	}
	if names, err := packet.Names(m.Options[packet.OptionSearch]); err == nil {
		for _, name := range names {
			if lease.IsDomain(name) && len(g.Search) < lease.MaxDomains {
				g.Search = append(g.Search, name)
			}
		}
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
	if !given { // class A, B or C (RFC 791)
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
		return 0, errors.New("invalid subnet mask")
	}
	mask := binary.BigEndian.Uint32(v)
	for bits := 1; bits <= 32; bits++ {
		if mask == ^uint32(0)<<(32-bits) {
			return bits, nil
		}
	}
	return 0, fmt.Errorf("invalid subnet mask %v", v)
}

func (g *grant) readTimes(m *packet.Message) error {
	seconds, err := uint32Option(m, packet.OptionLeaseTime)
	if err != nil {
		return err
	}
	if seconds == 0 {
		return errors.New("no lease time")
	}
	if seconds == 0xffffffff {
		g.Time = lease.Infinite
		return nil
	}
	g.Time = min(time.Duration(seconds)*time.Second, lease.MaxTime)
	g.renew, g.rebind = g.Time/2, g.Time/8*7
	renew, err1 := uint32Option(m, packet.OptionRenewalTime)
	rebind, err2 := uint32Option(m, packet.OptionRebindingTime)
	if err1 != nil || err2 != nil {
		return nil
	}
	t1, t2 := time.Duration(renew)*time.Second, time.Duration(rebind)*time.Second
	if t1 >= lease.MinTime/2 && t1 < t2 && t2 < g.Time {
		g.renew, g.rebind = t1, t2
	}
	return nil
}

// uint32Option returns the value of a four-byte option, or 0 if it is absent.
func uint32Option(m *packet.Message, code byte) (uint32, error) {
	v, given := m.Options[code]
	if !given {
		return 0, nil
	}
	if len(v) != 4 {
		return 0, fmt.Errorf("option %d has %d bytes", code, len(v))
	}
	return binary.BigEndian.Uint32(v), nil
}

// addressList returns the unicast addresses of an option that is a list of addresses.
func addressList(m *packet.Message, code byte) []netip.Addr {
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

func addressOption(m *packet.Message, code byte) (netip.Addr, error) {
	found := addressList(m, code)
	if len(found) == 0 || len(m.Options[code]) != 4 {
		return netip.Addr{}, fmt.Errorf("option %d is not a unicast address", code)
	}
	return found[0], nil
}
