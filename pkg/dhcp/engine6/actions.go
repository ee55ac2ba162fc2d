package engine6

import (
	"lkt/dhcp/config6"
	"lkt/dhcp/packet"
)

// Action is an action for the caller: Send or Configure.
type Action interface{ action() }

// Send is an IPv6 packet to send to a station.
type Send struct {
	Packet  []byte
	Station packet.HardwareAddr
}

// Configure is the interface's new configuration, in place of the last.
type Configure struct{ Config *config6.Config }

func (Send) action()      {}
func (Configure) action() {}
