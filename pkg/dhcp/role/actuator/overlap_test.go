package actuator

import (
	"net/netip"
	"slices"
	"testing"

	"lkt/dhcp/lease"
)

func testRoute(to string, index int, via string, protocol byte, metric uint32) kernelRoute {
	r := kernelRoute{Route: lease.Route{To: netip.MustParsePrefix(to)}, index: index, protocol: protocol, metric: metric}
	if via != "" {
		r.Via = netip.MustParseAddr(via)
	}
	return r
}

func TestOverlapped(t *testing.T) {
	const kernel, static = 2, 4
	existing := []kernelRoute{
		testRoute("10.99.0.0/24", 1, "", protocolDHCP, firstMetric), // this link's subnet
		testRoute("0.0.0.0/0", 1, "10.99.0.1", protocolDHCP, firstMetric),
		testRoute("10.98.0.0/24", 2, "", protocolDHCP, firstMetric+1), // another link's
		testRoute("0.0.0.0/0", 2, "10.98.0.1", protocolDHCP, firstMetric+1),
		testRoute("172.16.0.0/12", 2, "10.98.0.1", protocolDHCP, firstMetric+1),
		testRoute("10.77.0.0/24", 3, "", kernel, 0), // a tunnel
		testRoute("198.51.100.0/24", 3, "10.77.0.2", static, 0),
		testRoute("192.168.5.0/24", 1, "", kernel, 0), // a static address of this link
	}
	existing[0].source = netip.MustParseAddr("10.99.0.50")
	for _, row := range []struct {
		to     string
		subnet bool
		want   string
	}{
		{"0.0.0.0/0", false, ""},
		{"192.0.2.0/24", false, ""},
		{"10.0.0.0/8", false, ""}, // less specific than the tunnel
		{"10.77.0.0/24", false, "10.77.0.0/24"},
		{"10.77.0.0/25", false, "10.77.0.0/24"},
		{"10.77.0.0/24", true, "10.77.0.0/24"},
		{"10.77.0.128/25", true, "10.77.0.0/24"},
		{"198.51.100.7/32", false, "198.51.100.0/24"},
		{"10.99.0.0/24", true, ""},
		{"10.99.0.0/25", false, "10.99.0.0/24"},
		{"10.99.0.1/32", true, ""}, // the way to the gateway
		{"10.98.0.0/24", true, ""},
		{"10.98.0.0/25", true, "10.98.0.0/24"},
		{"10.98.0.0/24", false, "10.98.0.0/24"},
		{"172.16.1.0/24", false, "172.16.0.0/12"},
		{"192.168.5.0/24", true, ""},
		{"192.168.5.0/25", true, "192.168.5.0/24"},
	} {
		got := ""
		if r, found := overlapped(testRoute(row.to, 1, "", protocolDHCP, firstMetric), row.subnet, existing); found {
			got = r.To.String()
		}
		if got != row.want {
			t.Errorf("%s: overlaps %q, want %q", row.to, got, row.want)
		}
	}
	// A default route that someone has set.
	fixed := []kernelRoute{testRoute("0.0.0.0/0", 3, "10.77.0.2", static, 0)}
	for to, want := range map[string]bool{"0.0.0.0/0": false, "0.0.0.0/1": true, "192.0.2.0/24": true} {
		if _, found := overlapped(testRoute(to, 1, "10.99.0.1", protocolDHCP, firstMetric), false, fixed); found != want {
			t.Errorf("%s: %v", to, found)
		}
	}
}

// The address of a link inside the subnet of another one is refused by that route, which must be
// the one that is found.
func TestOverlappedFindsTheNarrowestRoute(t *testing.T) {
	const kernel, static = 2, 4
	existing := []kernelRoute{testRoute("0.0.0.0/0", 3, "10.77.0.2", static, 0), testRoute("8.8.8.0/24", 2, "", kernel, 0)}
	for range 2 {
		r, found := overlapped(testRoute("8.8.8.0/25", 1, "", protocolDHCP, firstMetric), true, existing)
		if !found || r.protocol != kernel {
			t.Errorf("%v, %+v", found, r)
		}
		slices.Reverse(existing)
	}
}

// A network that names the servers of others as part of its subnet takes their traffic past a
// tunnel with the default route (TunnelCrack, CVE-2023-36672).
func TestSubnetTakesNoTrafficOfADefaultRoute(t *testing.T) {
	const static = 4
	for _, row := range []struct {
		to    string
		index int // of the default route
		want  bool
	}{
		{"0.0.0.0/1", 3, true}, {"8.8.8.0/24", 3, true}, {"8.8.8.8/32", 3, true}, {"2001:db8::/64", 3, true},
		{"10.0.0.0/8", 3, false}, {"10.1.2.0/24", 3, false}, {"172.16.0.0/12", 3, false}, {"192.168.1.0/24", 3, false},
		{"100.64.0.0/10", 3, false}, {"169.254.0.0/16", 3, false}, {"fd00:1::/64", 3, false},
		{"8.0.0.0/5", 3, true}, {"172.0.0.0/8", 3, true}, {"100.0.0.0/8", 3, true},
		// Its own link has the traffic anyway.
		{"8.8.8.0/24", 1, false}, {"2001:db8::/64", 1, false},
	} {
		to := netip.MustParsePrefix(row.to)
		fixed := testRoute("0.0.0.0/0", row.index, "10.77.0.2", static, 0)
		if to.Addr().Is6() {
			fixed = testRoute("::/0", row.index, "fe80::2", static, 0)
		}
		if _, found := overlapped(testRoute(row.to, 1, "", protocolDHCP, firstMetric), true, []kernelRoute{fixed}); found != row.want {
			t.Errorf("%s, default route of link %d: %v", row.to, row.index, found)
		}
	}
}
