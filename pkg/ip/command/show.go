package command

import (
	"fmt"
	"strings"
	"syscall"
)

// showLinks prints links in a subset of iproute2's format.
func (t *Tool) showLinks(w *words) error {
	return t.eachLink(w, func(link) {})
}

// showAddresses prints links with their addresses.
func (t *Tool) showAddresses(w *words) error {
	all, err := t.addresses()
	if err != nil {
		return err
	}
	return t.eachLink(w, func(l link) {
		for _, a := range all {
			if a.index != l.index {
				continue
			}
			kind, peer := "inet", ""
			if a.prefix.Addr().Is6() {
				kind = "inet6"
			}
			shown := a.prefix.String()
			if a.peer != a.prefix {
				shown, peer = a.prefix.Addr().String(), " peer "+a.peer.String()
			}
			fmt.Fprintf(t.out, "    %s %s%s scope %s\n", kind, shown, peer, nameOf(a.scope, wide(scopes)))
			valid := "forever"
			if a.valid != lifetimeForever {
				valid = fmt.Sprintf("%dsec", a.valid)
			}
			fmt.Fprintf(t.out, "       valid_lft %s\n", valid)
		}
	})
}

func (t *Tool) eachLink(w *words, then func(link)) error {
	name, _ := w.next()
	if name == "dev" {
		name, _ = w.next()
	}
	if word, more := w.next(); more {
		return fmt.Errorf("unexpected argument %q", word)
	}
	if name != "" {
		if _, err := t.index(name); err != nil {
			return err
		}
	}
	all, err := t.links()
	if err != nil {
		return err
	}
	names := map[uint32]string{}
	for _, l := range all {
		names[l.index] = l.name
	}
	for _, l := range all {
		if name != "" && l.name != name {
			continue
		}
		master, kind := "", l.kind
		if l.master != 0 {
			master = " master " + names[l.master]
		}
		if kind == "" {
			kind = "ether"
		}
		if l.flags&syscall.IFF_LOOPBACK != 0 {
			kind = "loopback"
		}
		fmt.Fprintf(t.out, "%d: %s: <%s> mtu %d%s\n", l.index, l.name, flagNames(l.flags), l.mtu, master)
		fmt.Fprintf(t.out, "    link/%s %s\n", kind, l.hardware)
		then(l)
	}
	return nil
}

func flagNames(flags uint32) string {
	var names []string
	for _, f := range []struct {
		bit  uint32
		name string
	}{
		{syscall.IFF_LOOPBACK, "LOOPBACK"}, {syscall.IFF_BROADCAST, "BROADCAST"}, {syscall.IFF_POINTOPOINT, "POINTOPOINT"},
		{syscall.IFF_MULTICAST, "MULTICAST"}, {syscall.IFF_NOARP, "NOARP"}, {syscall.IFF_PROMISC, "PROMISC"},
		{syscall.IFF_UP, "UP"}, {1 << 16, "LOWER_UP"},
	} {
		if flags&f.bit != 0 {
			names = append(names, f.name)
		}
	}
	return strings.Join(names, ",")
}

// showRoutes prints the routes of a table, by default the main one.
func (t *Tool) showRoutes(w *words) error {
	table := tables["main"]
	if word, ok := w.next(); ok {
		if word != "table" {
			return fmt.Errorf("unexpected argument %q", word)
		}
		n, err := namedNumber(word, tables, 1<<32-1, w)
		if err != nil {
			return err
		}
		table = n
	}
	links, err := t.links()
	if err != nil {
		return err
	}
	names := map[uint32]string{}
	for _, l := range links {
		names[l.index] = l.name
	}
	all, err := t.routes()
	if err != nil {
		return err
	}
	for _, r := range all {
		// Like iproute2: IPv6 routes only with -6.
		if uint64(r.table) != table || t.family == 0 && r.family != syscall.AF_INET {
			continue
		}
		fmt.Fprintln(t.out, r.describe(names))
	}
	return nil
}

func (r route) describe(names map[uint32]string) string {
	text := "default"
	if r.to.IsValid() {
		text = r.to.String()
		if r.to.IsSingleIP() {
			text = r.to.Addr().String()
		}
	}
	if kind := nameOf(r.kind, wide(routeTypes)); kind != "unicast" {
		text = kind + " " + text
	}
	if r.via.IsValid() {
		text += " via " + r.via.String()
	}
	if r.device != 0 {
		text += " dev " + names[r.device]
	}
	if name := nameOf(r.protocol, protocols); name != "boot" {
		text += " proto " + name
	}
	if r.family == syscall.AF_INET && *r.scope != scopes["global"] {
		text += " scope " + nameOf(*r.scope, wide(scopes))
	}
	if r.source.IsValid() {
		text += " src " + r.source.String()
	}
	if r.metric != 0 {
		text += fmt.Sprintf(" metric %d", r.metric)
	}
	return text
}

func wide(names map[string]uint8) map[string]uint64 {
	all := map[string]uint64{}
	for name, n := range names {
		all[name] = uint64(n)
	}
	return all
}
