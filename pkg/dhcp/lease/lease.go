// Package lease is what a DHCP server gave, the rules for it, and its form between two processes.
package lease

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Forever is the time of a lease that does not end.
const Forever = time.Duration(0)

// Bounds of a lease.
const (
	// Shortest keeps a server from making the client busy.
	Shortest = 10 * time.Second
	// Longest keeps the arithmetic of times far from its limits: 30 years are as good as forever.
	Longest    = 30 * 365 * 24 * time.Hour
	MaxServers = 8
	MaxRoutes  = 32
	// MinMTU is what every IPv4 host must take, MaxMTU that of jumbo frames.
	MinMTU = 576
	MaxMTU = 9216
)

// Lease is an address and what comes with it.
type Lease struct {
	Address     netip.Prefix // the address and the size of its subnet
	Server      netip.Addr
	Routes      []Route
	NameServers []netip.Addr
	Domain      string
	MTU         int           // 0: not given
	Time        time.Duration // Forever, or how long the address may be used
}

// Route is a way to a network. A route without a gateway is on the link.
type Route struct {
	To  netip.Prefix
	Via netip.Addr // invalid for on the link
}

// Check says why a lease may not be applied. The engine asks it before it takes a lease, the actuator before it applies one.
func (l *Lease) Check() error {
	if err := checkAddress(l.Address); err != nil {
		return err
	}
	if !IsUnicast(l.Server) || l.Server == l.Address.Addr() {
		return fmt.Errorf("%v is no server", l.Server)
	}
	if l.Time != Forever && (l.Time < Shortest || l.Time > Longest) {
		return fmt.Errorf("a lease of %v", l.Time)
	}
	if l.MTU != 0 && (l.MTU < MinMTU || l.MTU > MaxMTU) {
		return fmt.Errorf("an MTU of %d", l.MTU)
	}
	if len(l.NameServers) > MaxServers {
		return errors.New("too many name servers")
	}
	for _, server := range l.NameServers {
		if !IsUnicast(server) {
			return fmt.Errorf("%v is no name server", server)
		}
	}
	if l.Domain != "" && !IsDomain(l.Domain) {
		return fmt.Errorf("%q is no domain", l.Domain)
	}
	if len(l.Routes) > MaxRoutes {
		return errors.New("too many routes")
	}
	for at, route := range l.Routes {
		if !Reachable(route, l.Address, l.Routes[:at]) {
			return fmt.Errorf("no route to %v by %v", route.To, route.Via)
		}
	}
	return nil
}

func checkAddress(p netip.Prefix) error {
	if !IsUnicast(p.Addr()) || p.Bits() < 1 || p.Bits() > 32 {
		return fmt.Errorf("%v is no address for a host", p)
	}
	if p.Bits() < 31 {
		first, last := Limits(p)
		if p.Addr() == first || p.Addr() == last {
			return fmt.Errorf("%v is no address for a host", p)
		}
	}
	return nil
}

// Reachable says whether the kernel takes a route on an interface with this address and the earlier routes: its gateway must be on the
// link. A route to this machine itself or to multicast is none.
func Reachable(route Route, own netip.Prefix, earlier []Route) bool {
	to := route.To
	if !to.IsValid() || !to.Addr().Is4() || to != to.Masked() {
		return false
	}
	if first := to.Addr().As4()[0]; to.Bits() > 0 && (first == 127 || first >= 224 || first == 0) {
		return false
	}
	if !route.Via.IsValid() {
		return true
	}
	if !IsUnicast(route.Via) || route.Via == own.Addr() {
		return false
	}
	if own.Masked().Contains(route.Via) {
		return true
	}
	for _, other := range earlier {
		if !other.Via.IsValid() && other.To.Contains(route.Via) {
			return true
		}
	}
	return false
}

// IsUnicast leaves out what no host or server can have as its address.
func IsUnicast(a netip.Addr) bool {
	return a.Is4() && a.As4()[0] != 0 && !a.IsLoopback() && a.As4()[0] < 224
}

// Limits are the first and the last address of a subnet.
func Limits(p netip.Prefix) (first, last netip.Addr) {
	first = p.Masked().Addr()
	four := first.As4()
	n := binary.BigEndian.Uint32(four[:]) | uint32(1<<(32-p.Bits())-1)
	binary.BigEndian.PutUint32(four[:], n)
	return first, netip.AddrFrom4(four)
}

// IsDomain takes a name only when it can do no harm in a file of words and lines.
func IsDomain(name string) bool {
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}
