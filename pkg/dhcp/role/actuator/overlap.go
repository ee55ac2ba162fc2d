package actuator

// overlapped returns an existing route that a route from the network would shadow or replace. Such
// a route is refused, because a hostile server could take the traffic of a tunnel or a static route
// (CVE-2024-3661). subnet is whether the route is the link's own subnet.
//
// An address is only refused if its subnet is part of another link's: without a route to its
// subnet, it takes no traffic, and the gateway is reachable.
//
// A default route shadows nothing: its metric is larger than that of others.
func overlapped(wanted kernelRoute, subnet bool, existing []kernelRoute) (kernelRoute, bool) {
	if wanted.To.Bits() == 0 {
		return kernelRoute{}, false
	}
	for _, r := range existing {
		if r.To.Addr().Is4() != wanted.To.Addr().Is4() || r.To.Bits() > wanted.To.Bits() || !r.To.Contains(wanted.To.Addr()) {
			continue
		}
		switch {
		case r.isOurs() && r.index == wanted.index && (subnet || !r.source.IsValid()):
			// Only the route to the link's subnet has a source.
		case r.To.Bits() == 0 && (subnet || r.isOurs()):
			// Every link has a subnet. Default routes of other links are from the network too.
		case r.To == wanted.To && subnet && (r.isOurs() || r.index == wanted.index && !r.Via.IsValid()):
			// Two links of one network, or an address of the link that someone else has set.
		default:
			return r, true
		}
	}
	return kernelRoute{}, false
}
