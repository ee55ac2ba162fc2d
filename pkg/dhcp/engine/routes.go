package engine

import (
	"errors"
	"net/netip"

	"lkt/dhcp/lease"
	"lkt/dhcp/packet"
)

// routes returns the routes of option 121, which overrides option 3 (RFC 3442), or else the first
// usable router. It leaves out routes that the kernel would reject.
func routes(m *packet.Message, own netip.Prefix) []lease.Route {
	if v, given := m.Options[packet.OptionClasslessRoutes]; given {
		if found, err := classlessRoutes(v); err == nil {
			return reachable(found, own)
		}
	}
	for _, router := range addressList(m, packet.OptionRouters) {
		all := lease.Route{To: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Via: router}
		wanted := []lease.Route{all}
		if own.Bits() == 32 { // a cloud that puts each host into a subnet of its own
			wanted = []lease.Route{{To: netip.PrefixFrom(router, 32)}, all}
		}
		if found := reachable(wanted, own); len(found) == len(wanted) {
			return found
		}
	}
	return nil
}

func reachable(wanted []lease.Route, own netip.Prefix) []lease.Route {
	var found []lease.Route
	for _, route := range wanted {
		if lease.Reachable(route, own, found) {
			found = append(found, route)
		}
	}
	return found
}

func classlessRoutes(v []byte) ([]lease.Route, error) {
	var found []lease.Route
	for len(v) > 0 {
		bits := int(v[0])
		size := (bits + 7) / 8
		if bits > 32 || len(v) < 1+size+4 || len(found) == lease.MaxRoutes {
			return nil, errors.New("invalid classless routes")
		}
		var network [4]byte
		copy(network[:], v[1:1+size])
		route := lease.Route{To: netip.PrefixFrom(netip.AddrFrom4(network), bits).Masked()}
		if via := netip.AddrFrom4([4]byte(v[1+size : 5+size])); !via.IsUnspecified() {
			route.Via = via
		}
		v = v[5+size:]
		found = append(found, route)
	}
	return found, nil
}
