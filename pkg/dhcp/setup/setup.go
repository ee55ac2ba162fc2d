// Package setup is what the process that starts the three says to each of them. It is the only input that they trust.
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

// Interface is one with a cable.
type Interface struct {
	Name     string
	Index    int
	Hardware packet.HardwareAddr
	Known    netip.Addr // the address it has, if any
}

// Setup is for one role; what the role does not need is empty.
type Setup struct {
	Role       string
	Interfaces []Interface
	// Of the engine.
	HostName string
	Probes   string
	Seed     []byte
	// Of the actuator.
	Once  bool
	Wait  time.Duration
	Files ActuatorFiles
}

// ActuatorFiles are the file descriptors of the actuator. It is what started the others, and has its own numbers.
type ActuatorFiles struct {
	Engine   channel.Conn
	Lifeline int // held, so that the wire sees the actuator end
	Kernel   int // a route socket
	Resolv   int // the file for name servers, or 0
}

// The file descriptors that the wire and the engine are started with.
const (
	// WireEngine is the channel between wire and engine. At the wire, WireLifeline and the sockets follow, two for each interface: DHCP
	// and ARP.
	WireEngine   channel.Conn = 3
	WireLifeline              = 4
	WireSockets               = 5
	// EngineActuator is the engine's end of its channel to the actuator.
	EngineActuator channel.Conn = 4
)

// Environment is what a role is started with, and nothing else.
func (s Setup) Environment() ([]string, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	// Threads cannot be made later, and a thread cannot be sent a signal: Go must not try.
	return []string{variable + "=" + string(text), "GODEBUG=asyncpreemptoff=1", "GOMAXPROCS=1"}, nil
}

// Given is the setup that this process was started with, if it is one of the three.
func Given() (s Setup, given bool, err error) {
	text, given := os.LookupEnv(variable)
	if !given {
		return Setup{}, false, nil
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return Setup{}, true, fmt.Errorf("%s: %w", variable, err)
	}
	return s, true, nil
}
