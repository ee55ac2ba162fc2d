// Package lease defines a DHCP lease, its validity, and its encoding between processes.
package lease

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Infinite is the time of a lease that does not expire.
const Infinite = time.Duration(0)

// Limits of a lease.
const (
	// MinTime keeps a server from making the client busy.
	MinTime = 10 * time.Second
	// MaxTime avoids overflow in time arithmetic; 30 years are as good as infinite.
	MaxTime    = 30 * 365 * 24 * time.Hour
	MaxServers = 8
	MaxDomains = 6
	MaxRoutes  = 32
	// MaxHostName is HOST_NAME_MAX of Linux.
	MaxHostName = 64
	// MinMTU is the size that every IPv6 link must carry (RFC 8200), MaxMTU that of jumbo frames.
	MinMTU = 1280
	MaxMTU = 9216
)

// Lease is an address with its network configuration.
type Lease struct {
	Address     netip.Prefix // the address and its prefix length
	Server      netip.Addr
	Routes      []Route
	NameServers []netip.Addr
	Domain      string
	Search      []string      // search domains, in place of Domain
	HostName    string        // of this machine
	TimeServers []netip.Addr  // NTP
	MTU         int           // 0: not given
	Time        time.Duration // how long the address may be used, or Infinite
}

// Route is a route. Without a gateway the network is on-link.
type Route struct {
	To  netip.Prefix
	Via netip.Addr // invalid for on-link
}

// Check returns an error if the lease must not be applied. The engine calls it before it accepts a
// lease, and the actuator before it applies one.
func (l *Lease) Check() error {
	if err := checkAddress(l.Address); err != nil {
		return err
	}
	if !IsUnicast(l.Server) || l.Server == l.Address.Addr() {
		return fmt.Errorf("invalid server address %v", l.Server)
	}
	if l.Time != Infinite && (l.Time < MinTime || l.Time > MaxTime) {
		return fmt.Errorf("invalid lease time %v", l.Time)
	}
	if l.MTU != 0 && (l.MTU < MinMTU || l.MTU > MaxMTU) {
		return fmt.Errorf("invalid MTU %d", l.MTU)
	}
	if len(l.NameServers) > MaxServers || len(l.TimeServers) > MaxServers {
		return errors.New("too many servers")
	}
	for _, server := range slices.Concat(l.NameServers, l.TimeServers) {
		if !IsUnicast(server) {
			return fmt.Errorf("invalid server %v", server)
		}
	}
	for _, name := range append([]string{l.Domain, l.HostName}, l.Search...) {
		if name != "" && !IsDomain(name) {
			return fmt.Errorf("invalid domain %q", name)
		}
	}
	if len(l.HostName) > MaxHostName || strings.Contains(l.HostName, "_") {
		return fmt.Errorf("invalid host name %q", l.HostName)
	}
	if len(l.Search) > MaxDomains || slices.Contains(l.Search, "") {
		return errors.New("invalid search domains")
	}
	if len(l.Routes) > MaxRoutes {
		return errors.New("too many routes")
	}
	for at, route := range l.Routes {
		if !Reachable(route, l.Address, l.Routes[:at]) {
			return fmt.Errorf("unreachable route to %v via %v", route.To, route.Via)
		}
	}
	return nil
}

func checkAddress(p netip.Prefix) error {
	if !IsUnicast(p.Addr()) || p.Bits() < 1 || p.Bits() > 32 {
		return fmt.Errorf("invalid host address %v", p)
	}
	if p.Bits() < 31 {
		first, last := SubnetLimits(p)
		if p.Addr() == first || p.Addr() == last {
			return fmt.Errorf("invalid host address %v", p)
		}
	}
	return nil
}

// Reachable reports whether the kernel accepts a route on an interface with this address and the
// earlier routes: the gateway must be on-link. Routes to loopback or multicast networks are not
// accepted.
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

// IsUnicast reports whether a is an IPv4 address that a host or server can have.
func IsUnicast(a netip.Addr) bool {
	return a.Is4() && a.As4()[0] != 0 && !a.IsLoopback() && a.As4()[0] < 224
}

// SubnetLimits returns the first and the last address of a subnet.
func SubnetLimits(p netip.Prefix) (first, last netip.Addr) {
	first = p.Masked().Addr()
	four := first.As4()
	n := binary.BigEndian.Uint32(four[:]) | uint32(1<<(32-p.Bits())-1)
	binary.BigEndian.PutUint32(four[:], n)
	return first, netip.AddrFrom4(four)
}

// IsDomain reports whether name is a domain name that is safe to write to resolv.conf: labels of
// letters, digits, hyphens and underscores.
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
