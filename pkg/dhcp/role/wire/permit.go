package wire

import (
	"lkt/dhcp/channel"
	"lkt/dhcp/packet"
)

// permitted reports whether the engine may send the frame: DHCP from the client port to the server
// port, and ARP with this station's address. Even a compromised engine can send nothing else.
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
