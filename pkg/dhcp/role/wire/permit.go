package wire

import (
	"lkt/dhcp/channel"
	"lkt/dhcp/packet"
)

// permitted says whether the engine may send this: DHCP from the client's port to a server's, and ARP in the name of this station.
// More could not be sent even by an engine that a server had taken over.
func permitted(f channel.Frame, own packet.HardwareAddr) bool {
	switch f.Type {
	case packet.EtherIPv4:
		return packet.IsFromClient(f.Packet)
	case packet.EtherARP:
		a, err := packet.ParseARP(f.Packet)
		return err == nil && a.Sender == own && len(f.Packet) == packet.ARPSize
	}
	return false
}
