package engine

import (
	"fmt"
	"strings"
	"testing"

	"lkt/dhcp/lease"
	"lkt/dhcp/packet"
)

func TestRejectsInvalidOffers(t *testing.T) {
	for name, change := range map[string]func(*packet.Message){
		"no server":           without(packet.OptionServer),
		"server 0":            option(packet.OptionServer, 0, 0, 0, 0),
		"broadcast server":    option(packet.OptionServer, 255, 255, 255, 255),
		"two servers":         option(packet.OptionServer, 10, 0, 2, 2, 10, 0, 2, 3),
		"own address":         option(packet.OptionServer, 10, 0, 2, 15),
		"address 0":           withAddress("0.0.0.0"),
		"loopback":            withAddress("127.0.0.1"),
		"multicast":           withAddress("224.0.0.1"),
		"network address":     withAddress("10.0.2.0"),
		"broadcast address":   withAddress("10.0.2.255"),
		"non-contiguous mask": option(packet.OptionSubnetMask, 255, 0, 255, 0),
		"mask 0":              option(packet.OptionSubnetMask, 0, 0, 0, 0),
		"short mask":          option(packet.OptionSubnetMask, 255, 255, 255),
		"no lease time":       without(packet.OptionLeaseTime),
		"lease time 0":        option(packet.OptionLeaseTime, 0, 0, 0, 0),
		"lease time 1 s":      option(packet.OptionLeaseTime, 0, 0, 0, 1),
		"short lease time":    option(packet.OptionLeaseTime, 1, 0),
	} {
		c := start(t, "")
		c.answer(packet.Offer, change)
		if len(c.lines) != 1 {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestLeaseOptions(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*packet.Message)
		want   string
	}{
		"router":                {option(packet.OptionRouters, 10, 0, 2, 2), "0.0.0.0/0 via 10.0.2.2"},
		"second router":         {option(packet.OptionRouters, 192, 168, 0, 1, 10, 0, 2, 2), "0.0.0.0/0 via 10.0.2.2"},
		"own address as router": {option(packet.OptionRouters, 10, 0, 2, 15), ""},
		"route via off-link gateway": {
			option(packet.OptionClasslessRoutes, 0, 192, 168, 0, 1, 8, 10, 10, 0, 2, 9), "10.0.0.0/8 via 10.0.2.9",
		},
		"route to loopback": {option(packet.OptionClasslessRoutes, 8, 127, 10, 0, 2, 9), ""},
		"off-link router":   {option(packet.OptionRouters, 192, 168, 0, 1), ""},
		"truncated router":  {option(packet.OptionRouters, 10, 0, 2), ""},
		"classless routes": {
			option(packet.OptionClasslessRoutes, 0, 10, 0, 2, 9, 17, 172, 16, 128, 0, 0, 0, 0),
			"0.0.0.0/0 via 10.0.2.9, 172.16.128.0/17 on link",
		},
		"invalid classless routes":   {option(packet.OptionClasslessRoutes, 33, 1, 2, 3, 4), "0.0.0.0/0 via 10.0.2.2"},
		"truncated classless routes": {option(packet.OptionClasslessRoutes, 24, 10, 0), "0.0.0.0/0 via 10.0.2.2"},
		"name servers":               {option(packet.OptionNameServers, 1, 1, 1, 1, 0, 0, 0, 0), "0.0.0.0/0 via 10.0.2.2, dns 1.1.1.1"},
		"domain":                     {option(packet.OptionDomainName, []byte("a.example\x00")...), "0.0.0.0/0 via 10.0.2.2, domain a.example"},
		"domain with line break":     {option(packet.OptionDomainName, []byte("a\nnameserver 6.6.6.6")...), "0.0.0.0/0 via 10.0.2.2"},
		"search domains": {
			option(packet.OptionSearch, []byte("\x03eng\x05apple\x03com\x00\x01b\xc0\x04\x03a b\x00")...),
			"0.0.0.0/0 via 10.0.2.2, search eng.apple.com b.apple.com",
		},
		"looping search domains": {option(packet.OptionSearch, 0xc0, 0), "0.0.0.0/0 via 10.0.2.2"},
		"host name":              {option(packet.OptionHostName, []byte("web-1\x00")...), "0.0.0.0/0 via 10.0.2.2, host web-1"},
		"invalid host name":      {option(packet.OptionHostName, []byte("web_1;reboot")...), "0.0.0.0/0 via 10.0.2.2"},
		"time servers":           {option(packet.OptionTimeServers, 10, 0, 2, 4, 127, 0, 0, 1), "0.0.0.0/0 via 10.0.2.2, ntp 10.0.2.4"},
		"truncated time servers": {option(packet.OptionTimeServers, 10, 0, 2), "0.0.0.0/0 via 10.0.2.2"},
		"mtu":                    {option(packet.OptionMTU, 5, 120), "0.0.0.0/0 via 10.0.2.2, mtu 1400"},
		"MTU below minimum":      {option(packet.OptionMTU, 0, 68), "0.0.0.0/0 via 10.0.2.2"},
	} {
		c := start(t, "")
		c.answer(packet.Offer)
		c.answer(packet.Ack, row.change)
		if c.engine.held == nil {
			t.Errorf("%s: rejected", name)
			continue
		}
		if got := describe(&c.engine.held.Lease); got != row.want {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestSlash32AddsRouteToRouter(t *testing.T) {
	c := start(t, "")
	c.answer(packet.Offer)
	c.answer(packet.Ack, option(packet.OptionSubnetMask, 255, 255, 255, 255))
	if got := describe(&c.engine.held.Lease); got != "10.0.2.2/32 on link, 0.0.0.0/0 via 10.0.2.2" {
		t.Errorf("got %q", got)
	}
}

func describe(l *lease.Lease) string {
	var parts []string
	for _, r := range l.Routes {
		if r.Via.IsValid() {
			parts = append(parts, fmt.Sprintf("%s via %s", r.To, r.Via))
		} else {
			parts = append(parts, fmt.Sprintf("%s on link", r.To))
		}
	}
	for _, a := range l.NameServers {
		parts = append(parts, "dns "+a.String())
	}
	if l.Domain != "" {
		parts = append(parts, "domain "+l.Domain)
	}
	if len(l.Search) > 0 {
		parts = append(parts, "search "+strings.Join(l.Search, " "))
	}
	if l.HostName != "" {
		parts = append(parts, "host "+l.HostName)
	}
	for _, a := range l.TimeServers {
		parts = append(parts, "ntp "+a.String())
	}
	if l.MTU != 0 {
		parts = append(parts, fmt.Sprint("mtu ", l.MTU))
	}
	return strings.Join(parts, ", ")
}
