package actuator

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"lkt/dhcp/lease"
)

// wantedRoute is a route that a lease asks for.
type wantedRoute struct {
	kernelRoute
	subnet bool // the link's own subnet, or the way to its gateway
}

// subnetRoute returns the route to a subnet of the link.
func (l *link) subnetRoute(subnet netip.Prefix) kernelRoute {
	return l.route(lease.Route{To: subnet})
}

func (l *link) route(r lease.Route) kernelRoute {
	return kernelRoute{Route: r, index: l.index, protocol: protocolDHCP, metric: l.metric}
}

// wantedRoutes returns the routes of the lease, its subnet first, and of the configuration.
func (l *link) wantedRoutes(family byte) []wantedRoute {
	var all []wantedRoute
	switch {
	case family == unix.AF_INET && l.lease != nil:
		if l.lease.Address.Bits() < 32 {
			own := l.subnetRoute(l.subnet)
			own.source = l.address
			all = append(all, wantedRoute{own, true})
		}
		for _, r := range l.lease.Routes {
			all = append(all, wantedRoute{l.route(r), isWayToGateway(r, l.lease.Routes)})
		}
	case family == unix.AF_INET6 && l.config != nil:
		for _, r := range l.config.Routes {
			all = append(all, wantedRoute{l.route(r), !r.Via.IsValid()})
		}
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
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		installed, err := a.routeSocket.routes(family)
		if err != nil {
			return fmt.Errorf("routes: %w", err)
		}
		for _, l := range a.links {
			if l.managed && l.index != 0 {
				a.setRoutesOf(l, family, installed)
			}
		}
	}
	return nil
}

func (a *actuator) setRoutesOf(l *link, family byte, installed []kernelRoute) {
	accepted := l.accept(l.wantedRoutes(family), installed, a.log)
	for _, r := range installed {
		if r.isOurs() && r.index == l.index && !slices.Contains(accepted, r) {
			if err := a.routeSocket.removeRoute(r); err != nil {
				l.note(a.log, "%s: remove route to %v: %v", l.name, r.To, err)
			}
		}
	}
	for _, r := range accepted {
		if slices.Contains(installed, r) {
			continue
		}
		// A route that the kernel rejects does not prevent the others. While the link is down, it
		// rejects all, and another check follows.
		if err := a.routeSocket.addRoute(r); err != nil && !errors.Is(err, unix.ENETDOWN) {
			l.note(a.log, "%s: set route to %v: %v", l.name, r.To, err)
		}
	}
}

// accept returns the wanted routes that overlap no existing one.
func (l *link) accept(wanted []wantedRoute, installed []kernelRoute, log func(string, ...any)) []kernelRoute {
	existing := slices.Clone(installed)
	for _, w := range wanted {
		if w.source.IsValid() {
			existing = append(existing, w.kernelRoute)
		}
	}
	var accepted []kernelRoute
	for _, w := range wanted {
		r, overlaps := overlapped(w.kernelRoute, w.subnet, existing)
		if overlaps {
			l.note(log, "%s: refused the route to %v, which overlaps %v", l.name, w.To, r.To)
			continue
		}
		accepted = append(accepted, w.kernelRoute)
	}
	return accepted
}
