package wire

import (
	"net/netip"
	"testing"

	"lkt/dhcp/channel"
	"lkt/dhcp/packet"
	"lkt/dhcp/packet6"
)

var own = packet.HardwareAddr{2, 0, 0, 0, 0, 1}

func TestPermitsOnlyDHCPAndOwnARP(t *testing.T) {
	any4, all := netip.IPv4Unspecified(), netip.MustParseAddr("255.255.255.255")
	dhcp := packet.Wrap(any4, all, (&packet.Message{Type: packet.Discover, Hardware: own}).Marshal())
	arp := (&packet.ARP{Sender: own, SenderIP: any4, TargetIP: netip.MustParseAddr("10.0.2.15")}).Marshal()
	solicitation := packet6.Solicitation(netip.MustParseAddr("fe80::1"), own)
	dhcp6 := packet6.WrapDHCP(netip.MustParseAddr("fe80::1"), (&packet6.Message{Type: packet6.Solicit, ClientID: []byte{0, 3, 0}}).Marshal())
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
		"other EtherType":         {0x8100, dhcp, false},
		"IPv4 as IPv6":            {packet6.EtherIPv6, dhcp, false},
		"router solicitation":     {packet6.EtherIPv6, solicitation, true},
		"router advertisement":    {packet6.EtherIPv6, changed(solicitation, 40, 134), false},
		"echo request":            {packet6.EtherIPv6, changed(solicitation, 40, 128), false},
		"forwardable hop limit":   {packet6.EtherIPv6, changed(solicitation, 7, 64), false},
		"global source":           {packet6.EtherIPv6, changed(solicitation, 8, 0x20), false},
		"other station":           {packet6.EtherIPv6, changed(solicitation, 23, 2), false},
		"to all nodes":            {packet6.EtherIPv6, changed(solicitation, 39, 1), false},
		"longer solicitation":     {packet6.EtherIPv6, append(solicitation[:len(solicitation):len(solicitation)], 0), false},
		"DHCPv6":                  {packet6.EtherIPv6, dhcp6, true},
		"DHCPv6 to another port":  {packet6.EtherIPv6, changed(dhcp6, 43, 53), false},
		"DHCPv6 to another group": {packet6.EtherIPv6, changed(dhcp6, 39, 3), false},
		"IPv6 TCP":                {packet6.EtherIPv6, changed(dhcp6, 6, 6), false},
	} {
		if got := permitted(channel.Frame{Type: row.kind, Packet: row.data}, own, netip.MustParseAddr("fe80::1")); got != row.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
