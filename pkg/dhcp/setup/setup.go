// Package setup passes the configuration from the starting process to the three processes. It is
// the only input that they trust.
package setup

import (
	"net/netip"
	"time"

	"lkt/sandbox"
)

// Interface is an Ethernet interface. Messages identify it by its position in the setup.
type Interface struct {
	Name     string
	Previous netip.Addr // its current address, or invalid
}

// Setup is the configuration of one role. Fields for other roles are empty.
type Setup struct {
	Interfaces []Interface
	// For the engine.
	HostName string
	Probes   string
	Seed     []byte
	Options  []byte // of DHCP, asked for besides the usual ones
	IPv6     bool
	Secret   []byte // known to this machine only
	// For the actuator.
	Once    bool
	Privacy bool // the kernel may make temporary IPv6 addresses
	Release bool // give leases back on SIGTERM
	Wait    time.Duration
	Files   ActuatorFiles
}

// ActuatorFiles are the file descriptors of the actuator. It is the starting process itself, so
// their numbers are not fixed.
type ActuatorFiles struct {
	Engine       sandbox.Conn
	Lifeline     sandbox.Conn // to the wire, which notices when the actuator ends
	RouteSocket  int          // a netlink route socket
	RouteMonitor int          // a netlink socket for notifications
	// Files, or 0.
	Resolv      int
	HostName    int
	TimeServers int
	Leases      []int // of each interface: its address
}

// All returns the open files.
func (f ActuatorFiles) All() []int {
	all := []int{int(f.Engine), int(f.Lifeline), f.RouteSocket, f.RouteMonitor}
	for _, fd := range append([]int{f.Resolv, f.HostName, f.TimeServers}, f.Leases...) {
		if fd != 0 {
			all = append(all, fd)
		}
	}
	return all
}

// The file descriptors of wire and engine.
const (
	// WireEngine is the channel between wire and engine. In wire follow WireLifeline, a netlink
	// socket for the state of links, and the packet sockets for DHCP, ARP and IPv6.
	WireEngine   sandbox.Conn = 3
	WireLifeline sandbox.Conn = 4
	WireMonitor               = 5
	WireSockets               = 6
	// EngineActuator is the engine's end of its channel to the actuator.
	EngineActuator sandbox.Conn = 4
)
