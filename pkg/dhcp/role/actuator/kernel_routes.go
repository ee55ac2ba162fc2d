package actuator

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"lkt/dhcp/lease"
	"lkt/dhcp/rtnl"
)

const (
	sizeofRtMsg = 12
	// firstMetric is larger than that of static routes, so that they are preferred. Each interface
	// has its own, in order.
	firstMetric  = 2048
	protocolDHCP = 16 // RTPROT_DHCP
	// protocolKernel is that of the routes to the subnets of addresses.
	protocolKernel = 2
)

// kernelRoute is a unicast route of the kernel's main table.
type kernelRoute struct {
	lease.Route
	source   netip.Addr // the preferred source address
	index    int        // of the interface
	protocol byte
	metric   uint32
}

// isOurs reports whether this program has added the route, now or in an earlier run.
func (r kernelRoute) isOurs() bool { return r.protocol == protocolDHCP && r.metric >= firstMetric }

// routes returns the IPv4 or IPv6 unicast routes of the main table.
func (k *routeSocket) routes(family byte) ([]kernelRoute, error) {
	var found []kernelRoute
	body := append([]byte{family}, make([]byte, sizeofRtMsg-1)...)
	err := k.do(unix.RTM_GETROUTE, unix.NLM_F_DUMP, body, func(m rtnl.Message) {
		if r, ok := parseRoute(m.Data); ok && m.Kind == unix.RTM_NEWROUTE && m.Data[0] == family {
			found = append(found, r)
		}
	})
	return found, err
}

func parseRoute(data []byte) (kernelRoute, bool) {
	if len(data) < sizeofRtMsg {
		return kernelRoute{}, false
	}
	size := 4
	if data[0] == unix.AF_INET6 {
		size = 16
	}
	table := uint32(data[4])
	r := kernelRoute{protocol: data[5]}
	to := netip.IPv4Unspecified()
	if size == 16 {
		to = netip.IPv6Unspecified()
	}
	for kind, value := range rtnl.Attributes(data[sizeofRtMsg:]) {
		ip, isAddress := netip.AddrFromSlice(value)
		isAddress = isAddress && len(value) == size
		switch {
		case kind == unix.RTA_DST && isAddress:
			to = ip
		case kind == unix.RTA_GATEWAY && isAddress:
			r.Via = ip
		case kind == unix.RTA_PREFSRC && isAddress:
			r.source = ip
		case len(value) != 4:
		case kind == unix.RTA_OIF:
			r.index = int(binary.NativeEndian.Uint32(value))
		case kind == unix.RTA_PRIORITY:
			r.metric = binary.NativeEndian.Uint32(value)
		case kind == unix.RTA_TABLE:
			table = binary.NativeEndian.Uint32(value)
		}
	}
	r.To = netip.PrefixFrom(to, int(data[1]))
	isUnicast := data[7] != unix.RTN_LOCAL && data[7] != unix.RTN_BROADCAST && data[7] != unix.RTN_MULTICAST &&
		data[7] != unix.RTN_ANYCAST
	const cloned = 0x200 // RTM_F_CLONED: an entry of the route cache
	isCached := binary.NativeEndian.Uint32(data[8:])&cloned != 0
	return r, r.To.IsValid() && isUnicast && !isCached && table == unix.RT_TABLE_MAIN
}

// addRoute adds a route. It fails if the kernel has one to the same network with the same metric.
func (k *routeSocket) addRoute(r kernelRoute) error {
	return k.request(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, routeBody(r))
}

const rtnhOnLink = 4 // RTNH_F_ONLINK

// removeRoute removes exactly this route. It succeeds if the route does not exist.
func (k *routeSocket) removeRoute(r kernelRoute) error {
	err := k.request(unix.RTM_DELROUTE, 0, routeBody(r))
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// routeBody returns struct rtmsg and its attributes.
func routeBody(r kernelRoute) []byte {
	family, scope := byte(unix.AF_INET), byte(unix.RT_SCOPE_LINK)
	if r.To.Addr().Is6() {
		family = unix.AF_INET6
	}
	if r.Via.IsValid() || family == unix.AF_INET6 {
		scope = unix.RT_SCOPE_UNIVERSE
	}
	body := []byte{
		family, byte(r.To.Bits()), 0, 0, unix.RT_TABLE_MAIN, protocolDHCP, scope, unix.RTN_UNICAST, 0, 0, 0, 0,
	}
	if r.To.Bits() > 0 {
		body = rtnl.Attribute(body, unix.RTA_DST, r.To.Addr().AsSlice())
	}
	if r.Via.IsValid() {
		// The engine has checked that the gateway is on the link, whose route may have been
		// refused.
		binary.NativeEndian.PutUint32(body[8:], rtnhOnLink)
		body = rtnl.Attribute(body, unix.RTA_GATEWAY, r.Via.AsSlice())
	}
	if r.source.IsValid() {
		body = rtnl.Attribute(body, unix.RTA_PREFSRC, r.source.AsSlice())
	}
	body = rtnl.Attribute(body, unix.RTA_OIF, binary.NativeEndian.AppendUint32(nil, uint32(r.index)))
	return rtnl.Attribute(body, unix.RTA_PRIORITY, binary.NativeEndian.AppendUint32(nil, r.metric))
}
