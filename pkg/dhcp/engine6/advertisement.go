package engine6

import (
	"net/netip"
	"slices"
	"time"

	"lkt/dhcp/config6"
	"lkt/dhcp/lease"
	"lkt/dhcp/packet6"
)

// ReceiveAdvertisement handles a router advertisement. Any station of the link can send one, so
// what is kept is bounded, and what comes first stays.
func (e *Engine) ReceiveAdvertisement(from netip.Addr, a *packet6.Advertisement, now time.Duration) []Action {
	if !e.linkLocal.IsValid() {
		return nil
	}
	e.expire(now)
	e.updateRouter(from, a, now)
	if a.MTU >= config6.MinMTU && a.MTU <= config6.MaxMTU {
		e.mtu = a.MTU
	}
	for _, p := range a.Prefixes {
		e.updatePrefix(p, now)
	}
	for _, s := range a.Servers {
		for _, address := range s.Addresses {
			if config6.IsHost(address) || address.Is6() && address.IsLinkLocalUnicast() {
				e.servers = update(e.servers, address, s.Lifetime, now, config6.MaxServers)
			}
		}
	}
	for _, d := range a.Domains {
		for _, name := range d.Names {
			if lease.IsDomain(name) {
				e.domains = update(e.domains, name, d.Lifetime, now, maxDomains)
			}
		}
	}
	switch {
	case a.Managed:
		e.dhcp.begin(soliciting, now, e.config.Random)
	case a.Other:
		e.dhcp.begin(informing, now, e.config.Random)
	}
	e.changed = true
	return e.Tick(now)
}

func (e *Engine) updateRouter(from netip.Addr, a *packet6.Advertisement, now time.Duration) {
	at := slices.IndexFunc(e.routers, func(r router) bool { return r.address == from })
	r := router{from, a.Preference, addTime(now, a.Lifetime)}
	switch {
	case a.Lifetime == 0 && at >= 0:
		// The next expire asks for other routers, if this was the last.
		e.routers[at].until = now
	case a.Lifetime == 0:
	case at >= 0:
		e.routers[at] = r
	case len(e.routers) < maxRouters:
		e.routers = append(e.routers, r)
	}
	if a.Lifetime > 0 {
		e.solicitor.deadline = never
	}
}

// update adds a value, changes its time, or with a zero lifetime removes it. It drops a new value
// if there are limit already.
func update[T comparable](all []timed[T], value T, lifetime, now time.Duration, limit int) []timed[T] {
	at := slices.IndexFunc(all, func(t timed[T]) bool { return t.value == value })
	until := addTime(now, lifetime)
	switch {
	case at >= 0 && lifetime == 0:
		return slices.Delete(all, at, at+1)
	case at >= 0:
		all[at].until = until
	case lifetime > 0 && len(all) < limit:
		return append(all, timed[T]{value, until})
	}
	return all
}

// current returns the configuration at a time.
func (e *Engine) current(now time.Duration) *config6.Config {
	c := &config6.Config{MTU: e.mtu}
	for _, p := range e.prefixes {
		if address, ok := p.address(e.config); ok && now+time.Second <= p.valid {
			c.Addresses = append(c.Addresses, config6.Address{
				Address: address, Preferred: max(p.preferred-now, 0), Valid: p.valid - now, Autonomous: true,
			})
		}
		if now < p.onLink {
			c.Routes = append(c.Routes, lease.Route{To: p.prefix})
		}
	}
	c.Addresses = append(c.Addresses, e.dhcp.addressesAt(now)...)
	if best := e.bestRouter(); best != nil {
		c.Routes = append(c.Routes, lease.Route{To: netip.PrefixFrom(netip.IPv6Unspecified(), 0), Via: best.address})
	}
	for _, s := range e.servers {
		c.Servers = append(c.Servers, s.value)
	}
	for _, s := range e.dhcp.servers {
		if len(c.Servers) < config6.MaxServers && !slices.Contains(c.Servers, s) {
			c.Servers = append(c.Servers, s)
		}
	}
	for _, d := range e.domains {
		c.Domains = append(c.Domains, d.value)
	}
	for _, name := range e.dhcp.domains {
		if len(c.Domains) < maxDomains && !slices.Contains(c.Domains, name) {
			c.Domains = append(c.Domains, name)
		}
	}
	return c
}

// bestRouter returns the first router with the highest preference (RFC 4191).
func (e *Engine) bestRouter() *router {
	var best *router
	for at := range e.routers {
		if best == nil || e.routers[at].preference > best.preference {
			best = &e.routers[at]
		}
	}
	return best
}
