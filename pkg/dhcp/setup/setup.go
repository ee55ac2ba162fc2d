// Package setup passes the configuration from the starting process to the three processes. It is
// the only input that they trust.
package setup

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"time"

	"lkt/dhcp/channel"
	"lkt/dhcp/packet"
)

const variable = "DHCP_SETUP"

// Interface is an Ethernet interface.
type Interface struct {
	Name     string
	Index    int
	Hardware packet.HardwareAddr
	Previous netip.Addr // its current address, or invalid
}

// Setup is the configuration of one role. Fields for other roles are empty.
type Setup struct {
	Role       string
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
	Engine       channel.Conn
	Lifeline     int // held open until the actuator ends, which the wire notices
	RouteSocket  int // a netlink route socket
	RouteMonitor int // a netlink socket for notifications
	Resolv       int // the file for name servers, or 0
}

// The file descriptors of wire and engine.
const (
	// WireEngine is the channel between wire and engine. In wire, WireLifeline follows, and then
	// two sockets for each interface, DHCP and ARP.
	WireEngine   channel.Conn = 3
	WireLifeline              = 4
	WireSockets               = 5
	// EngineActuator is the engine's end of its channel to the actuator.
	EngineActuator channel.Conn = 4
)

// Environment returns the complete environment of the role's process.
func (s Setup) Environment() ([]string, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	// The filter forbids new threads and signals to threads: Go must not preempt asynchronously.
	return []string{variable + "=" + string(text), "GODEBUG=asyncpreemptoff=1", "GOMAXPROCS=1"}, nil
}

// FromEnvironment returns the setup that this process was started with. found is false in the
// starting process.
func FromEnvironment() (s Setup, found bool, err error) {
	text, found := os.LookupEnv(variable)
	if !found {
		return Setup{}, false, nil
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return Setup{}, true, fmt.Errorf("%s: %w", variable, err)
	}
	return s, true, nil
}
