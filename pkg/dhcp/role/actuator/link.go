package actuator

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"lkt/dhcp/config6"
	"lkt/dhcp/lease"
	"lkt/dhcp/rtnl"
)

// maxNotes limits the lines that one lease can add to the log.
const maxNotes = 64

// link is an interface, and what this program has set on it.
type link struct {
	name    string
	index   int    // 0: the interface does not exist
	metric  uint32 // of its routes
	mtu     int    // the last one set
	file    int    // for the address, or 0
	address netip.Addr
	subnet  netip.Prefix // invalid for an address of an earlier run
	lease   *lease.Lease
	config  *config6.Config
	noted   []string // lines logged about the lease
	// managed is whether the link has had a lease or configuration, so that the routes of an
	// earlier run are replaced.
	managed bool
}

func (l *link) hasLease() bool { return l.lease != nil }
func (l *link) isConfigured() bool {
	return l.lease != nil || l.config != nil && len(l.config.Addresses) > 0
}

// note logs a line once per lease.
func (l *link) note(log func(string, ...any), format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if len(l.noted) < maxNotes && !slices.Contains(l.noted, line) {
		l.noted = append(l.noted, line)
		log("%s", line)
	}
}

// updateLinks notices replaced interfaces.
func (a *actuator) updateLinks() error {
	for _, l := range a.links {
		if err := a.updateLink(l); err != nil {
			return err
		}
	}
	return nil
}

// updateLink finds the interface with the link's name. One that has taken the place of another is
// set up.
func (a *actuator) updateLink(l *link) error {
	var found rtnl.Link
	err := a.routeSocket.do(unix.RTM_GETLINK, 0, rtnl.LinkByName(l.name), func(m rtnl.Message) {
		if r, ok := rtnl.ParseLink(m.Data); ok && m.Kind == unix.RTM_NEWLINK {
			found = r
		}
	})
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("%s: %w", l.name, err)
	}
	if found.Index == l.index {
		return nil
	}
	if l.index != 0 {
		// The addresses and routes went with the interface.
		*l = link{name: l.name, metric: l.metric, file: l.file}
	}
	l.index = found.Index
	if found.Index == 0 || found.Up {
		return nil
	}
	if err := a.routeSocket.setUp(l.index); err != nil {
		l.note(a.log, "%s: set up: %v", l.name, err)
	}
	return nil
}
