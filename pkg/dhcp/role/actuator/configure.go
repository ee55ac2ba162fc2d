package actuator

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"lkt/dhcp/config6"
	"lkt/dhcp/rtnl"
)

// configure makes the interface's IPv6 configuration that of the engine.
func (a *actuator) configure(c *config6.Config, l *link) error {
	existing, err := a.routeSocket.routes(unix.AF_INET6)
	if err != nil {
		return fmt.Errorf("%s: routes: %w", l.name, err)
	}
	a.setMTU(l, c.MTU)
	wanted := map[netip.Addr]bool{}
	accepted := *c
	accepted.Addresses = nil
	for _, address := range c.Addresses {
		if r, overlaps := overlapped(l.subnetRoute(address.Address.Masked()), true, existing); overlaps && r.protocol == protocolKernel {
			l.note(a.log, "%s: refused the address %v, which overlaps %v", l.name, address.Address, r.To)
			continue
		}
		if err := a.setAddress6(l, address); err != nil {
			// Another program may have the address.
			l.note(a.log, "%s: set address %v: %v", l.name, address.Address, err)
			continue
		}
		wanted[address.Address.Addr()] = true
		accepted.Addresses = append(accepted.Addresses, address)
		l.note(a.log, "%s has %v", l.name, address.Address)
	}
	present, err := a.routeSocket.addresses6(l.index)
	if err != nil {
		return fmt.Errorf("%s: addresses: %w", l.name, err)
	}
	for _, p := range present {
		if p.Protocol == protocolDHCP && !wanted[p.Prefix.Addr()] {
			if err := a.routeSocket.removeAddress(l.index, p.Prefix); err != nil {
				return fmt.Errorf("%s: remove %v: %w", l.name, p.Prefix, err)
			}
		}
	}
	l.config, l.managed = &accepted, true
	if err := a.setRoutes(); err != nil {
		return err
	}
	return a.writeFiles()
}

func (a *actuator) setAddress6(l *link, address config6.Address) error {
	preferred, valid := address.Preferred, address.Valid
	if a.Once {
		preferred, valid = 0, 0 // no process will renew it
	}
	var flags uint32
	if a.Privacy && address.Autonomous {
		flags = unix.IFA_F_MANAGETEMPADDR
	}
	return a.routeSocket.setAddress(l.index, address.Address, flags, preferred, valid)
}

// addresses6 returns the IPv6 addresses of an interface.
func (k *routeSocket) addresses6(index int) ([]rtnl.Address, error) {
	var found []rtnl.Address
	body := make([]byte, unix.SizeofIfAddrmsg)
	body[0] = unix.AF_INET6
	err := k.do(unix.RTM_GETADDR, unix.NLM_F_DUMP, body, func(m rtnl.Message) {
		if a, ok := rtnl.ParseAddress(m.Data); ok && m.Kind == unix.RTM_NEWADDR && a.Index == index {
			found = append(found, a)
		}
	})
	return found, err
}
