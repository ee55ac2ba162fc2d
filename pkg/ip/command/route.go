package command

import (
	"net/netip"
	"strconv"
	"syscall"

	"lkt/netlink"
)

// route is a route in a command or from the kernel.
type route struct {
	family       uint8
	to           netip.Prefix // invalid for the default route
	via          netip.Addr
	source       netip.Addr
	device       uint32
	kind         uint8
	scope        *uint8
	protocol     uint8
	table        uint32
	metric       uint32
	mtu          uint32
	flags        uint32
	toEverywhere bool
}

func (t *Tool) routes() ([]route, error) {
	answers, err := t.kernel.List(syscall.RTM_GETROUTE, append(netlink.Body{t.family}, make([]byte, sizeofRtMsg-1)...))
	if err != nil {
		return nil, err
	}
	var all []route
	for _, answer := range answers {
		r, err := parseRoute(answer)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

func parseRoute(m netlink.Message) (route, error) {
	if m.Kind != syscall.RTM_NEWROUTE || len(m.Data) < sizeofRtMsg {
		return route{}, netlink.ErrMalformed
	}
	head := m.Data[:sizeofRtMsg]
	r := route{family: head[0], table: uint32(head[4]), protocol: head[5], scope: &head[6], kind: head[7]}
	attributes, err := netlink.Parse(m.Data[sizeofRtMsg:])
	for _, a := range attributes {
		ip, _ := netip.AddrFromSlice(a.Value)
		switch a.Kind {
		case syscall.RTA_DST:
			r.to = netip.PrefixFrom(ip, int(head[1]))
		case syscall.RTA_GATEWAY:
			r.via = ip
		case syscall.RTA_PREFSRC:
			r.source = ip
		case syscall.RTA_OIF:
			r.device = a.Uint32()
		case syscall.RTA_PRIORITY:
			r.metric = a.Uint32()
		case syscall.RTA_TABLE:
			r.table = a.Uint32()
		}
	}
	return r, err
}

func nameOf[N uint8 | uint32 | uint64](n N, names map[string]uint64) string {
	for name, number := range names {
		if number == uint64(n) {
			return name
		}
	}
	return strconv.FormatUint(uint64(n), 10)
}
