package wire

import (
	"net/netip"
	"testing"

	"lkt/dhcp/channel"
	"lkt/dhcp/packet"
)

var own = packet.HardwareAddr{2, 0, 0, 0, 0, 1}

func TestPermitsOnlyDHCPAndOwnARP(t *testing.T) {
	any4, all := netip.IPv4Unspecified(), netip.MustParseAddr("255.255.255.255")
	dhcp := packet.Wrap(any4, all, (&packet.Message{Type: packet.Discover, Hardware: own}).Marshal())
	arp := (&packet.ARP{Sender: own, SenderIP: any4, TargetIP: netip.MustParseAddr("10.0.2.15")}).Marshal()
	changed := func(b []byte, at int, value byte) []byte {
		c := append([]byte{}, b...)
		c[at] = value
		return c
	}
	for name, row := range map[string]struct {
		kind uint16
		data []byte
		want bool
	}{
		"DHCP":                    {packet.EtherIPv4, dhcp, true},
		"ARP":                     {packet.EtherARP, arp, true},
		"TCP":                     {packet.EtherIPv4, changed(dhcp, 9, 6), false},
		"other source port":       {packet.EtherIPv4, changed(dhcp, 21, 53), false},
		"other destination port":  {packet.EtherIPv4, changed(dhcp, 23, 53), false},
		"fragment":                {packet.EtherIPv4, changed(dhcp, 6, 0x20), false},
		"IP options":              {packet.EtherIPv4, changed(dhcp, 0, 0x46), false},
		"truncated packet":        {packet.EtherIPv4, dhcp[:27], false},
		"ARP of a neighbor":       {packet.EtherARP, changed(arp, 13, 9), false},
		"ARP with trailing bytes": {packet.EtherARP, append(arp[:28:28], 0), false},
		"other EtherType":         {0x86dd, dhcp, false},
	} {
		if got := permitted(channel.Frame{Type: row.kind, Packet: row.data}, own); got != row.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
