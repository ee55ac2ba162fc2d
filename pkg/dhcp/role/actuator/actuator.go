// Package actuator is the process that configures the machine: addresses, routes and MTU of its
// interfaces, and resolv.conf. It receives leases from the engine and checks them again.
package actuator

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"lkt/dhcp/channel"
	"lkt/dhcp/lease"
	"lkt/dhcp/setup"
)

// grace is how long "once" waits for the other interfaces after the first has a lease: a cable may
// have no DHCP server.
const grace = 2 * time.Second

type actuator struct {
	setup.Setup
	routeSocket routeSocket
	links       map[int]*link
	log         func(format string, args ...any)
}

// link is an interface and the address that this program may remove.
type link struct {
	name    string
	address netip.Addr
	subnet  netip.Prefix // invalid for an address of an earlier run
	bound   bool
}

// Run applies leases until the engine ends or, with Once, until there is a lease.
func Run(s setup.Setup, log func(format string, args ...any)) error {
	a := actuator{Setup: s, routeSocket: routeSocket{fd: s.Files.RouteSocket}, links: map[int]*link{}, log: log}
	for _, i := range s.Interfaces {
		a.links[i.Index] = &link{name: i.Name, address: i.Previous}
	}
	end := time.Now().Add(s.Wait)
	buffer := make([]byte, channel.MaxSize)
	for {
		if s.Once {
			bound := a.bound()
			if bound == len(a.links) {
				return nil
			}
			if late, err := wait(s.Files.Engine, end); err != nil {
				return err
			} else if late && bound > 0 {
				return nil
			} else if late {
				return fmt.Errorf("no server answered within %v", s.Wait)
			}
		}
		raw, err := s.Files.Engine.Receive(buffer)
		if err != nil {
			return err
		}
		message, err := channel.Decode(raw)
		if err != nil {
			return err
		}
		before := a.bound()
		if err := a.apply(message); err != nil {
			return err
		}
		if soon := time.Now().Add(grace); before == 0 && a.bound() > 0 && soon.Before(end) {
			end = soon
		}
	}
}

// wait waits for a message, and reports whether end came first.
func wait(engine channel.Conn, end time.Time) (late bool, err error) {
	ready := []unix.PollFd{{Fd: int32(engine), Events: unix.POLLIN}}
	for {
		limit := unix.NsecToTimespec(int64(max(time.Until(end), 0)))
		n, err := unix.Ppoll(ready, &limit, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return n == 0, err
	}
}

func (a *actuator) bound() (count int) {
	for _, l := range a.links {
		if l.bound {
			count++
		}
	}
	return count
}

func (a *actuator) apply(message any) error {
	switch m := message.(type) {
	case channel.Bound:
		l, known := a.links[m.Interface]
		if !known {
			return fmt.Errorf("lease for unknown interface %d", m.Interface)
		}
		return a.set(m, l)
	case channel.Lost:
		l, known := a.links[m.Interface]
		if !known || !l.address.IsValid() {
			return errors.New("lost an address that is not set")
		}
		a.log("%s: %v, removing %v", l.name, m.Reason, l.address)
		return a.remove(m.Interface, l)
	}
	return errors.New("unexpected message")
}

func (a *actuator) set(m channel.Bound, l *link) error {
	lifetime := m.Lease.Time
	if a.Once {
		lifetime = lease.Infinite // no process will renew it
	}
	address := m.Lease.Address
	if l.address.IsValid() && (l.address != address.Addr() || l.subnet.IsValid() && l.subnet != address.Masked()) {
		if err := a.remove(m.Interface, l); err != nil {
			return err
		}
	}
	if m.Lease.MTU != 0 {
		if err := a.routeSocket.setMTU(m.Interface, m.Lease.MTU); err != nil {
			a.log("%s: MTU %d: %v", l.name, m.Lease.MTU, err)
		}
	}
	if err := a.routeSocket.setAddress(m.Interface, address, lifetime); err != nil {
		return fmt.Errorf("%s: set address %v: %w", l.name, address, err)
	}
	l.address, l.subnet, l.bound = address.Addr(), address.Masked(), true
	for _, route := range m.Lease.Routes {
		// A route that the kernel rejects, for instance because another interface has it, does not
		// prevent the others.
		if err := a.routeSocket.setRoute(m.Interface, route); err != nil {
			a.log("%s: set route to %v: %v", l.name, route.To, err)
		}
	}
	if a.Files.Resolv != 0 && len(m.Lease.NameServers) > 0 {
		if err := writeResolv(a.Files.Resolv, m.Lease); err != nil {
			return fmt.Errorf("name servers: %w", err)
		}
	}
	if !m.Renewed {
		a.log("%s has %v from %v for %s", l.name, address, m.Lease.Server, leaseTime(m.Lease))
	}
	return nil
}

func (a *actuator) remove(index int, l *link) error {
	address := l.address
	l.address, l.subnet, l.bound = netip.Addr{}, netip.Prefix{}, false
	if err := a.routeSocket.removeAddress(index, address); err != nil {
		return fmt.Errorf("%s: remove %v: %w", l.name, address, err)
	}
	return nil
}

func leaseTime(l *lease.Lease) string {
	if l.Time == lease.Infinite {
		return "ever"
	}
	return l.Time.String()
}
