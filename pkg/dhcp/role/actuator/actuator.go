// Package actuator is the process that changes the machine: addresses, routes and MTU of the interfaces it is given, and the file
// with the name servers. It takes leases from the engine and checks them again.
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

// grace is how long those that have their lease wait for the others, once only: a second cable may lead nowhere.
const grace = 2 * time.Second

type actuator struct {
	setup.Setup
	kernel kernel
	links  map[int]*link
	log    func(format string, args ...any)
}

// link is an interface, and the address that is this program's to take away.
type link struct {
	name    string
	address netip.Addr
	subnet  netip.Prefix // invalid for an address of an earlier run
	bound   bool
}

// Run works until the engine ends or, once only, until there is a lease.
func Run(s setup.Setup, log func(format string, args ...any)) error {
	a := actuator{Setup: s, kernel: kernel{fd: s.Files.Kernel}, links: map[int]*link{}, log: log}
	for _, i := range s.Interfaces {
		a.links[i.Index] = &link{name: i.Name, address: i.Known}
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

// wait says whether it was too late for a message.
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
			return fmt.Errorf("a lease for interface %d", m.Interface)
		}
		return a.set(m, l)
	case channel.Lost:
		l, known := a.links[m.Interface]
		if !known || !l.address.IsValid() {
			return errors.New("an address is lost that is not there")
		}
		a.log("%s: %v, %v is given back", l.name, m.Reason, l.address)
		return a.remove(m.Interface, l)
	}
	return errors.New("a message of another process")
}

func (a *actuator) set(m channel.Bound, l *link) error {
	lifetime := m.Lease.Time
	if a.Once {
		lifetime = lease.Forever // nobody will renew it
	}
	address := m.Lease.Address
	if l.address.IsValid() && (l.address != address.Addr() || l.subnet.IsValid() && l.subnet != address.Masked()) {
		if err := a.remove(m.Interface, l); err != nil {
			return err
		}
	}
	if m.Lease.MTU != 0 {
		if err := a.kernel.setMTU(m.Interface, m.Lease.MTU); err != nil {
			a.log("%s: MTU %d: %v", l.name, m.Lease.MTU, err)
		}
	}
	if err := a.kernel.setAddress(m.Interface, address, lifetime); err != nil {
		return fmt.Errorf("%s: set address %v: %w", l.name, address, err)
	}
	l.address, l.subnet, l.bound = address.Addr(), address.Masked(), true
	for _, route := range m.Lease.Routes {
		// One that the kernel does not take, because another interface has it, leaves the others.
		if err := a.kernel.setRoute(m.Interface, route); err != nil {
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
	if err := a.kernel.removeAddress(index, address); err != nil {
		return fmt.Errorf("%s: take away %v: %w", l.name, address, err)
	}
	return nil
}

func leaseTime(l *lease.Lease) string {
	if l.Time == lease.Forever {
		return "ever"
	}
	return l.Time.String()
}
