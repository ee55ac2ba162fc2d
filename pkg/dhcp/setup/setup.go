// Package setup passes the configuration from the starting process to the three processes. It is
// the only input that they trust.
package setup

import (
	"net/netip"
	"time"

	"lkt/dhcp/packet"
	"lkt/sandbox"
)

// Interface is an Ethernet interface.
type Interface struct {
	Name     string
	Index    int
	Hardware packet.HardwareAddr
	Previous netip.Addr // its current address, or invalid
}

// Setup is the configuration of one role. Fields for other roles are empty.
type Setup struct {
	Interfaces []Interface
	// For the engine.
	HostName string
	Probes   string
	Seed     []byte
	// For the actuator.
	Once  bool
	Wait  time.Duration
	Files ActuatorFiles
}

// ActuatorFiles are the file descriptors of the actuator. It is the starting process itself, so
// their numbers are not fixed.
type ActuatorFiles struct {
	Engine       sandbox.Conn
	Lifeline     int // held open until the actuator ends, which the wire notices
	RouteSocket  int // a netlink route socket
	RouteMonitor int // a netlink socket for notifications
	Resolv       int // the file for name servers, or 0
}

// The file descriptors of wire and engine.
const (
	// WireEngine is the channel between wire and engine. In wire, WireLifeline follows, and then
	// two sockets for each interface, DHCP and ARP.
	WireEngine   sandbox.Conn = 3
	WireLifeline              = 4
	WireSockets               = 5
	// EngineActuator is the engine's end of its channel to the actuator.
	EngineActuator sandbox.Conn = 4
)
