package actuator

import (
	"net/netip"
	"slices"
)

// overlapped returns the narrowest existing route that a route from the network would shadow or
// replace. Such a route is refused, because a hostile server could take the traffic of a tunnel or
// a static route (CVE-2024-3661). subnet is whether the route is the link's own subnet.
//
// An address is refused only if its subnet is part of another link's. Without a route to its
// subnet, an address takes no traffic, and the gateway is reachable.
//
// If someone has set a default route of another link, perhaps to a tunnel, the subnet must be
// private. Otherwise the network could name any server as a neighbour (CVE-2023-36672).
//
// A default route shadows nothing: its metric is larger than that of others.
func overlapped(wanted kernelRoute, subnet bool, existing []kernelRoute) (found kernelRoute, overlaps bool) {
	if wanted.To.Bits() == 0 {
		return found, false
	}
	for _, r := range existing {
		if r.To.Addr().Is4() != wanted.To.Addr().Is4() || r.To.Bits() > wanted.To.Bits() || !r.To.Contains(wanted.To.Addr()) {
			continue
		}
		switch {
		case r.isOurs() && r.index == wanted.index && (subnet || !r.source.IsValid()):
			// Only the route to the link's subnet has a source.
		case r.To.Bits() == 0 && (r.isOurs() || subnet && (r.index == wanted.index || isPrivate(wanted.To))):
			// Every link has a subnet. Default routes of other links are from the network too.
		case r.To == wanted.To && subnet && (r.isOurs() || r.index == wanted.index && !r.Via.IsValid()):
			// Two links of one network, or an address of the link that someone else has set.
		case !overlaps || r.To.Bits() > found.To.Bits():
			found, overlaps = r, true
		}
	}
	return found, overlaps
}

// private are networks that are no part of the Internet (RFC 1918, 6598, 3927, 4193).
var private = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fc00::/7"),
}

func isPrivate(network netip.Prefix) bool {
	return slices.ContainsFunc(private, func(p netip.Prefix) bool {
		return p.Bits() <= network.Bits() && p.Contains(network.Addr())
	})
}
