package actuator

import (
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"lkt/dhcp/lease"
)

// maxRefusals limits the lines that one lease can add to the log.
const maxRefusals = 64

// wantedRoute is a route that a lease asks for.
type wantedRoute struct {
	kernelRoute
	subnet bool // the link's own subnet, or the way to its gateway
}

// wantedRoutes returns the routes of a lease, its subnet first.
func (l *link) wantedRoutes(given *lease.Lease) []wantedRoute {
	wanted := func(r lease.Route, subnet bool) wantedRoute {
		return wantedRoute{kernelRoute{Route: r, index: l.index, protocol: protocolDHCP, metric: l.metric}, subnet}
	}
	var all []wantedRoute
	if given.Address.Bits() < 32 {
		own := wanted(lease.Route{To: given.Address.Masked()}, true)
		own.source = given.Address.Addr()
		all = append(all, own)
	}
	for _, r := range given.Routes {
		all = append(all, wanted(r, isWayToGateway(r, given.Routes)))
	}
	return all
}

// isWayToGateway reports whether r is the on-link route to the router of the default route.
func isWayToGateway(r lease.Route, all []lease.Route) bool {
	return !r.Via.IsValid() && r.To.IsSingleIP() && slices.ContainsFunc(all, func(other lease.Route) bool {
		return other.To.Bits() == 0 && other.Via == r.To.Addr()
	})
}

// setRoutes makes the kernel's routes those that the links want, except for refused ones. The
// kernel may have changed them: it drops routes when a link goes down, and others may add tunnels.
func (a *actuator) setRoutes() error {
	installed, err := a.routeSocket.routes(unix.AF_INET)
	if err != nil {
		return err
	}
	for _, l := range a.links {
		if !l.managed {
			continue
		}
		accepted := l.accept(installed, a.log)
		for _, r := range installed {
			if r.isOurs() && r.index == l.index && !slices.Contains(accepted, r) {
				if err := a.routeSocket.removeRoute(r); err != nil {
					a.log("%s: remove route to %v: %v", l.name, r.To, err)
				}
			}
		}
		for _, r := range accepted {
			if slices.Contains(installed, r) {
				continue
			}
			// A route that the kernel rejects does not prevent the others.
			if err := a.routeSocket.addRoute(r); err != nil {
				l.note(a.log, "%s: set route to %v: %v", l.name, r.To, err)
			}
		}
	}
	return nil
}

// accept returns the wanted routes that overlap no existing one.
func (l *link) accept(installed []kernelRoute, log func(string, ...any)) []kernelRoute {
	existing := slices.Clone(installed)
	for _, w := range l.wanted {
		if w.source.IsValid() {
			existing = append(existing, w.kernelRoute)
		}
	}
	var accepted []kernelRoute
	for _, w := range l.wanted {
		r, overlaps := overlapped(w.kernelRoute, w.subnet, existing)
		if overlaps {
			l.note(log, "%s: refused the route to %v, which overlaps %v", l.name, w.To, r.To)
			continue
		}
		accepted = append(accepted, w.kernelRoute)
	}
	return accepted
}

// overlappedSubnet returns the existing route that the subnet of an address would shadow.
func (a *actuator) overlappedSubnet(l *link, address netip.Prefix) (kernelRoute, bool, error) {
	installed, err := a.routeSocket.routes(unix.AF_INET)
	if err != nil {
		return kernelRoute{}, false, err
	}
	own := kernelRoute{Route: lease.Route{To: address.Masked()}, index: l.index}
	r, overlaps := overlapped(own, true, installed)
	return r, overlaps, nil
}

// note logs a line once per lease.
func (l *link) note(log func(string, ...any), format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if len(l.noted) < maxRefusals && !slices.Contains(l.noted, line) {
		l.noted = append(l.noted, line)
		log("%s", line)
	}
}
