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
	"lkt/sandbox"
)

// grace is how long "once" waits for the other interfaces after the first has a lease: a cable may
// have no DHCP server.
const grace = 2 * time.Second

type actuator struct {
	setup.Setup
	routeSocket routeSocket
	links       map[int]*link
	log         func(format string, args ...any)
	recheck     bool // routes have changed since the last check
	recheckTime time.Time
}

// link is an interface and the address that this program may remove.
type link struct {
	name    string
	index   int
	metric  uint32 // of its routes
	address netip.Addr
	subnet  netip.Prefix // invalid for an address of an earlier run
	bound   bool
	managed bool          // had a lease, so that its routes are those of wanted
	wanted  []wantedRoute // of the lease
	noted   []string      // lines logged about the lease
}

// recheckInterval is the minimum time between two checks of routes after changes by others.
const recheckInterval = time.Second

// Run applies leases until the engine ends or, with Once, until there is a lease.
func Run(s setup.Setup, log func(format string, args ...any)) error {
	a := actuator{Setup: s, routeSocket: routeSocket{fd: s.Files.RouteSocket}, links: map[int]*link{}, log: log}
	for at, i := range s.Interfaces {
		a.links[i.Index] = &link{name: i.Name, index: i.Index, metric: firstMetric + uint32(at), address: i.Previous}
	}
	end := time.Now().Add(s.Wait)
	buffer := make([]byte, sandbox.MaxMessage)
	for {
		limit := time.Time{}
		if s.Once {
			if a.bound() == len(a.links) {
				return nil
			}
			limit = end
		}
		ready, err := a.wait(limit)
		switch {
		case err != nil:
			return err
		case !ready && a.bound() > 0:
			return nil
		case !ready:
			return fmt.Errorf("no server answered within %v", s.Wait)
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

// wait waits for a message of the engine, and meanwhile checks routes after others have changed
// them. It returns false at end, unless that is the zero time.
func (a *actuator) wait(end time.Time) (ready bool, err error) {
	files := []unix.PollFd{
		{Fd: int32(a.Files.Engine), Events: unix.POLLIN}, {Fd: int32(a.Files.RouteMonitor), Events: unix.POLLIN},
	}
	for {
		next := end
		if a.recheck && (end.IsZero() || a.recheckTime.Before(end)) {
			next = a.recheckTime
		}
		var limit *unix.Timespec
		if !next.IsZero() {
			left := unix.NsecToTimespec(int64(max(time.Until(next), 0)))
			limit = &left
		}
		n, err := unix.Ppoll(files, limit, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return false, err
		case n == 0 && next == end:
			return false, nil
		case n == 0:
			a.recheck, a.recheckTime = false, time.Now().Add(recheckInterval)
			if err := a.setRoutes(); err != nil {
				return false, fmt.Errorf("routes: %w", err)
			}
		case files[0].Revents != 0:
			return true, nil
		default:
			if err := drain(a.Files.RouteMonitor); err != nil {
				return false, fmt.Errorf("netlink: %w", err)
			}
			a.recheck = true
		}
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
		if !known {
			return fmt.Errorf("lost an address of unknown interface %d", m.Interface)
		}
		if !l.address.IsValid() {
			// It was refused.
			return nil
		}
		a.log("%s: %v, removing %v", l.name, m.Reason, l.address)
		return a.remove(m.Interface, l)
	case channel.Claimed:
		l, known := a.links[m.Interface]
		if !known {
			return fmt.Errorf("claim on unknown interface %d", m.Interface)
		}
		a.log("%s: %v claims %v, which stays in use", l.name, m.Station, l.address)
		return nil
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
	if !m.Renewed {
		l.noted = nil
	}
	if r, overlaps, err := a.overlappedSubnet(l, address); err != nil {
		return fmt.Errorf("%s: routes: %w", l.name, err)
	} else if overlaps {
		l.note(a.log, "%s: refused the address %v, which overlaps %v", l.name, address, r.To)
		return nil
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
	l.managed, l.wanted = true, l.wantedRoutes(m.Lease)
	if err := a.setRoutes(); err != nil {
		return fmt.Errorf("%s: routes: %w", l.name, err)
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
	l.address, l.subnet, l.bound, l.wanted, l.managed = netip.Addr{}, netip.Prefix{}, false, nil, true
	if err := a.routeSocket.removeAddress(index, address); err != nil {
		return fmt.Errorf("%s: remove %v: %w", l.name, address, err)
	}
	return a.setRoutes()
}

func leaseTime(l *lease.Lease) string {
	if l.Time == lease.Infinite {
		return "ever"
	}
	return l.Time.String()
}
