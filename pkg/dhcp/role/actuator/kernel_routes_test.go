package actuator

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"lkt/dhcp/lease"
)

func route(to, via string) kernelRoute {
	r := kernelRoute{Route: lease.Route{To: netip.MustParsePrefix(to)}, index: 2, protocol: protocolDHCP, metric: firstMetric}
	if via != "" {
		r.Via = netip.MustParseAddr(via)
	}
	return r
}

func TestParseRouteReadsWhatRouteBodyWrites(t *testing.T) {
	for _, r := range []kernelRoute{
		route("0.0.0.0/0", "10.0.0.1"), route("10.0.0.0/24", ""), route("::/0", "fe80::1"), route("2001:db8::/64", ""),
	} {
		if got, valid := parseRoute(routeBody(r)); !valid || got != r {
			t.Errorf("%+v instead of %+v", got, r)
		}
	}
}

// FuzzRoute parses the kernel's routes, which other programs add.
func FuzzRoute(f *testing.F) {
	f.Add(routeBody(route("10.0.0.0/24", "10.0.0.1")))
	f.Add(routeBody(route("2001:db8::/64", "fe80::1")))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, valid := parseRoute(data)
		if valid && (!r.To.IsValid() || r.To.Addr().Is4() != (data[0] != unix.AF_INET6)) {
			t.Fatalf("%+v", r)
		}
	})
}
