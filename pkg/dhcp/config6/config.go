// Package config6 defines the IPv6 configuration of an interface, its validity, and its encoding
// between processes.
package config6

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"lkt/dhcp/lease"
)

// Limits of a configuration.
const (
	MaxAddresses = 16
	MaxRoutes    = 16
	MaxServers   = 8
	MaxDomains   = 6
	// MinMTU is the size that every IPv6 link must carry (RFC 8200).
	MinMTU = 1280
	MaxMTU = lease.MaxMTU
	// MaxTime avoids overflow in time arithmetic.
	MaxTime = lease.MaxTime
)

// Config is the complete configuration of an interface. A new one replaces the last.
type Config struct {
	Addresses []Address
	Routes    []lease.Route // of the link's prefixes, and default routes
	Servers   []netip.Addr  // name servers
	Domains   []string      // search domains
	MTU       int           // 0: not given
}

// Address is an address and the times for which it is preferred and valid.
type Address struct {
	Address          netip.Prefix // with its prefix length
	Preferred, Valid time.Duration
	Autonomous       bool // made from a prefix of a router, not given by a DHCPv6 server
}

// Check returns an error if the configuration must not be applied. The engine calls it before it
// sends one, and the actuator before it applies one.
func (c *Config) Check() error {
	if len(c.Addresses) > MaxAddresses || len(c.Routes) > MaxRoutes || len(c.Servers) > MaxServers || len(c.Domains) > MaxDomains {
		return errors.New("too many values")
	}
	for _, a := range c.Addresses {
		if !IsHost(a.Address.Addr()) || a.Address.Bits() < 3 || a.Address.Bits() > 128 {
			return fmt.Errorf("invalid address %v", a.Address)
		}
		if a.Valid < time.Second || a.Valid > MaxTime || a.Preferred < 0 || a.Preferred > a.Valid {
			return fmt.Errorf("invalid lifetimes of %v", a.Address)
		}
	}
	for _, r := range c.Routes {
		switch {
		case r.Via.IsValid():
			if r.To != netip.PrefixFrom(netip.IPv6Unspecified(), 0) || !r.Via.Is6() || !r.Via.IsLinkLocalUnicast() || r.Via.Zone() != "" {
				return fmt.Errorf("invalid route to %v via %v", r.To, r.Via)
			}
		case !IsLinkPrefix(r.To):
			return fmt.Errorf("invalid route to %v", r.To)
		}
	}
	for _, s := range c.Servers {
		if !IsHost(s) && !isLinkLocal(s) {
			return fmt.Errorf("invalid name server %v", s)
		}
	}
	for _, name := range c.Domains {
		if !lease.IsDomain(name) {
			return fmt.Errorf("invalid domain %q", name)
		}
	}
	if c.MTU != 0 && (c.MTU < MinMTU || c.MTU > MaxMTU) {
		return fmt.Errorf("invalid MTU %d", c.MTU)
	}
	return nil
}

// IsHost reports whether a is a unicast address beyond the link that a host can have: global (RFC
// 4291), or unique local (RFC 4193).
func IsHost(a netip.Addr) bool {
	if !a.Is6() || a.Is4In6() || a.Zone() != "" {
		return false
	}
	first := a.As16()[0]
	return first>>5 == 1 || first>>1 == 0xfc>>1 || first == 0xfe && a.As16()[1]&0xc0 == 0xc0
}

func isLinkLocal(a netip.Addr) bool { return a.Is6() && a.IsLinkLocalUnicast() && a.Zone() == "" }

// IsLinkPrefix reports whether p can be the prefix of a link.
func IsLinkPrefix(p netip.Prefix) bool {
	return p.IsValid() && p == p.Masked() && IsHost(p.Addr()) && p.Bits() >= 32 && p.Bits() <= 128
}
