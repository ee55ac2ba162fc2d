// Package actuator is the process that configures the machine: addresses, routes and MTU of its
// interfaces, and resolv.conf. It receives leases and configurations from the engine and checks
// them again.
package actuator

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lkt/dhcp/channel"
	"lkt/dhcp/engine"
	"lkt/dhcp/lease"
	"lkt/dhcp/setup"
	"lkt/sandbox"
)

const (
	// grace is how long "once" waits for the other interfaces after the first has a lease: a cable
	// may have no DHCP server.
	grace = 2 * time.Second
	// recheckInterval is the minimum time between two checks after changes by others.
	recheckInterval = time.Second
	// stopTimeout limits the time for giving leases back.
	stopTimeout = 2 * time.Second
)

type actuator struct {
	setup.Setup
	routeSocket routeSocket
	links       []*link // in the order of the setup
	log         func(format string, args ...any)
	recheck     bool // links or routes have changed since the last check
	recheckTime time.Time
}

// stopping is whether a signal has asked for the end.
var stopping atomic.Bool

// Stop ends Run if the setup asks for giving leases back, or else returns at once: addresses stay
// until their leases expire. It returns when there is no more to wait for.
func Stop(s setup.Setup) {
	if s.Release && !s.Once && !stopping.Swap(true) && s.Files.Lifeline.Send(channel.Stop{}.Encode()) == nil {
		time.Sleep(stopTimeout)
	}
}

// Run applies leases until the engine ends or, with Once, until there is a lease.
func Run(s setup.Setup, log func(format string, args ...any)) error {
	a := actuator{Setup: s, routeSocket: routeSocket{fd: s.Files.RouteSocket}, log: log, recheckTime: time.Now()}
	for at, i := range s.Interfaces {
		l := &link{name: i.Name, metric: firstMetric + uint32(at), address: i.Previous}
		if at < len(s.Files.Leases) {
			l.file = s.Files.Leases[at]
		}
		a.links = append(a.links, l)
	}
	if err := a.updateLinks(); err != nil {
		return err
	}
	end := time.Now().Add(s.Wait)
	buffer := make([]byte, sandbox.MaxMessage)
	for {
		limit := time.Time{}
		if s.Once {
			if a.count((*link).hasLease) == len(a.links) {
				return nil
			}
			limit = end
		}
		ready, err := a.wait(limit)
		switch {
		case err != nil:
			return err
		case !ready && a.count((*link).isConfigured) > 0:
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
		if _, stopped := message.(channel.Stopped); stopped && stopping.Load() {
			return nil
		}
		before := a.count((*link).isConfigured)
		if err := a.apply(message); err != nil {
			return err
		}
		if soon := time.Now().Add(grace); before == 0 && a.count((*link).isConfigured) > 0 && soon.Before(end) {
			end = soon
		}
	}
}

// wait waits for a message of the engine, and meanwhile checks links and routes after others have
// changed them. It returns false at end, unless that is the zero time.
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
			if err := a.updateLinks(); err != nil {
				return false, err
			}
			if err := a.setRoutes(); err != nil {
				return false, err
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

func (a *actuator) count(has func(*link) bool) (count int) {
	for _, l := range a.links {
		if has(l) {
			count++
		}
	}
	return count
}

func (a *actuator) link(index int) (*link, error) {
	if index < 0 || index >= len(a.links) {
		return nil, fmt.Errorf("message about unknown interface %d", index)
	}
	l := a.links[index]
	return l, a.updateLink(l)
}

func (a *actuator) apply(message any) error {
	switch m := message.(type) {
	case channel.Bound:
		l, err := a.link(m.Interface)
		if err != nil || l.index == 0 {
			return err
		}
		return a.set(m, l)
	case channel.Lost:
		l, err := a.link(m.Interface)
		if err != nil || !l.address.IsValid() { // it was refused
			return err
		}
		a.log("%s: %v, removing %v", l.name, m.Reason, l.address)
		if m.Reason != engine.Released {
			l.rememberAddress(netip.Addr{})
		}
		return a.remove(l)
	case channel.Claimed:
		l, err := a.link(m.Interface)
		if err != nil {
			return err
		}
		a.log("%s: %v claims %v, which stays in use", l.name, m.Station, l.address)
		return nil
	case channel.Paused:
		l, err := a.link(m.Interface)
		if err != nil {
			return err
		}
		a.log("%s: the network does without IPv4; asking again in %v", l.name, m.For)
		return nil
	case channel.Configure:
		l, err := a.link(m.Interface)
		if err != nil || l.index == 0 {
			return err
		}
		return a.configure(m.Config, l)
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
		if err := a.remove(l); err != nil {
			return err
		}
	}
	if !m.Renewed {
		l.noted = nil
	}
	existing, err := a.routeSocket.routes(unix.AF_INET)
	if err != nil {
		return fmt.Errorf("%s: routes: %w", l.name, err)
	}
	if r, overlaps := overlapped(l.subnetRoute(address.Masked()), true, existing); overlaps && r.protocol == protocolKernel {
		l.note(a.log, "%s: refused the address %v, which overlaps %v", l.name, address, r.To)
		return nil
	}
	a.setMTU(l, m.Lease.MTU)
	if err := a.routeSocket.setAddress(l.index, address, 0, lifetime, lifetime); err != nil {
		return fmt.Errorf("%s: set address %v: %w", l.name, address, err)
	}
	l.address, l.subnet, l.lease, l.managed = address.Addr(), address.Masked(), m.Lease, true
	l.rememberAddress(l.address)
	if err := a.setRoutes(); err != nil {
		return err
	}
	if err := a.writeFiles(); err != nil {
		return err
	}
	if !m.Renewed {
		a.log("%s has %v from %v for %s", l.name, address, m.Lease.Server, leaseTime(m.Lease))
	}
	return nil
}

func (a *actuator) remove(l *link) error {
	address := l.address
	l.address, l.subnet, l.lease, l.managed = netip.Addr{}, netip.Prefix{}, nil, true
	if err := a.routeSocket.removeAddress(l.index, netip.PrefixFrom(address, 32)); err != nil {
		return fmt.Errorf("%s: remove %v: %w", l.name, address, err)
	}
	if err := a.setRoutes(); err != nil {
		return err
	}
	return a.writeFiles()
}

// setMTU sets an MTU from the network. The kernel rejects one that the interface cannot have.
func (a *actuator) setMTU(l *link, mtu int) {
	if mtu == 0 || mtu == l.mtu {
		return
	}
	l.mtu = mtu
	if err := a.routeSocket.setMTU(l.index, mtu); err != nil {
		l.note(a.log, "%s: MTU %d: %v", l.name, mtu, err)
	}
}

func leaseTime(l *lease.Lease) string {
	if l.Time == lease.Infinite {
		return "ever"
	}
	return l.Time.String()
}
