package wire

import (
	"net/netip"

	"lkt/dhcp/channel"
	"lkt/dhcp/packet"
	"lkt/dhcp/packet6"
)

// permitted reports whether the engine may send the frame: DHCP from the client port to the server
// port, ARP with this station's address, and DHCPv6 and router solicitations from its address. Even
// a compromised engine can send nothing else.
func permitted(f channel.Frame, own packet.HardwareAddr, linkLocal netip.Addr) bool {
	switch f.Type {
	case packet.EtherIPv4:
		return packet.IsFromClient(f.Packet)
	case packet.EtherARP:
		a, err := packet.ParseARP(f.Packet)
		return err == nil && a.Sender == own && len(f.Packet) == packet.ARPSize
	case packet6.EtherIPv6:
		return packet6.IsFromClient(f.Packet, linkLocal)
	}
	return false
}
