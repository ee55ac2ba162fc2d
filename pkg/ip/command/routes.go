package command

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"lkt/netlink"
)

const (
	sizeofRtMsg = 12
	onLink      = 4
	metricMTU   = 2
)

var (
	routeTypes = map[string]uint8{"unicast": 1, "local": 2, "blackhole": 6, "unreachable": 7, "prohibit": 8, "throw": 9}
	tables     = map[string]uint64{"main": 254, "local": 255, "default": 253}
	protocols  = map[string]uint64{"kernel": 2, "boot": 3, "static": 4, "ra": 9, "dhcp": 16}
)

func (t *Tool) changeRoute(kind, flags uint16) func(*words) error {
	return func(w *words) error {
		r, err := t.readRoute(w, kind == syscall.RTM_NEWROUTE)
		if err != nil {
			return err
		}
		return t.kernel.Do(kind, flags, r.body(kind == syscall.RTM_NEWROUTE))
	}
}

func (t *Tool) readRoute(w *words, add bool) (route, error) {
	r := route{kind: routeTypes["unicast"], family: t.family}
	if add {
		r.protocol = uint8(protocols["boot"])
	}
	for {
		word, ok := w.next()
		if !ok {
			break
		}
		if err := t.routeOption(&r, word, w); err != nil {
			return r, err
		}
	}
	if !r.to.IsValid() && !r.toEverywhere {
		return r, errors.New(`destination is missing; it may be "default"`)
	}
	for _, a := range []netip.Addr{r.to.Addr(), r.via, r.source} {
		if !a.IsValid() {
			continue
		}
		if r.family != 0 && r.family != family(a) {
			return r, fmt.Errorf("%v has another address family", a)
		}
		r.family = family(a)
	}
	if r.family == 0 {
		r.family = syscall.AF_INET
	}
	if r.to.IsValid() && r.to != r.to.Masked() {
		return r, fmt.Errorf("%v is not a network; use %v", r.to, r.to.Masked())
	}
	return r, nil
}

func (t *Tool) routeOption(r *route, word string, w *words) (err error) {
	var n uint64
	switch word {
	case "via":
		if len(w.rest) > 0 && (w.rest[0] == "inet" || w.rest[0] == "inet6") {
			w.rest = w.rest[1:]
		}
		r.via, err = w.address(word)
	case "src":
		r.source, err = w.address(word)
	case "dev":
		r.device, err = t.indexAfter(word, w)
	case "metric", "priority", "preference":
		n, err = w.number(word, 1<<32-1)
		r.metric = uint32(n)
	case "table":
		n, err = namedNumber(word, tables, 1<<32-1, w)
		r.table = uint32(n)
	case "proto", "protocol":
		n, err = namedNumber(word, protocols, 255, w)
		r.protocol = uint8(n)
	case "mtu":
		n, err = w.number(word, 1<<16)
		r.mtu = uint32(n)
	case "onlink":
		r.flags |= onLink
	case "scope":
		var text string
		if text, err = w.value(word); err == nil {
			r.scope, err = readScope(text)
		}
	case "to":
		word, _ = w.next()
		fallthrough
	default:
		err = r.destination(word)
	}
	return err
}

// destination parses the type or the destination of a route.
func (r *route) destination(word string) (err error) {
	if kind, found := routeTypes[word]; found {
		r.kind = kind
		return nil
	}
	if r.to.IsValid() || r.toEverywhere {
		return fmt.Errorf("unexpected argument %q", word)
	}
	if word == "default" || word == "any" || word == "all" {
		r.toEverywhere = true
		return nil
	}
	r.to, err = parsePrefix(word)
	return err
}

// namedNumber parses a number or one of the given names.
func namedNumber(of string, names map[string]uint64, limit uint64, w *words) (uint64, error) {
	if len(w.rest) > 0 {
		if n, found := names[w.rest[0]]; found {
			w.rest = w.rest[1:]
			return n, nil
		}
	}
	return w.number(of, limit)
}

func (r route) body(add bool) netlink.Body {
	table := r.table
	if table == 0 {
		table = uint32(tables["main"])
	}
	small := uint8(table)
	if table > 255 {
		small = 0
	}
	b := netlink.Body{r.family, 0, 0, 0, small, r.protocol, r.effectiveScope(add), r.kind, 0, 0, 0, 0}
	binary.NativeEndian.PutUint32(b[8:], r.flags)
	if r.to.IsValid() {
		b[1] = uint8(r.to.Bits())
		b.Add(syscall.RTA_DST, r.to.Addr().AsSlice())
	}
	b.AddUint32(syscall.RTA_TABLE, table)
	if r.via.IsValid() {
		b.Add(syscall.RTA_GATEWAY, r.via.AsSlice())
	}
	if r.source.IsValid() {
		b.Add(syscall.RTA_PREFSRC, r.source.AsSlice())
	}
	if r.device != 0 {
		b.AddUint32(syscall.RTA_OIF, r.device)
	}
	if r.metric != 0 {
		b.AddUint32(syscall.RTA_PRIORITY, r.metric)
	}
	if r.mtu != 0 {
		b.Nest(syscall.RTA_METRICS, func(b *netlink.Body) { b.AddUint32(metricMTU, r.mtu) })
	}
	return b
}

// effectiveScope returns the given scope, or iproute2's default.
func (r route) effectiveScope(add bool) uint8 {
	switch {
	case r.scope != nil:
		return *r.scope
	case r.family == syscall.AF_INET6:
		return scopes["global"]
	case !add:
		return scopes["nowhere"]
	case r.kind == routeTypes["local"]:
		return scopes["host"]
	case r.kind == routeTypes["unicast"] && !r.via.IsValid():
		return scopes["link"]
	}
	return scopes["global"]
}
