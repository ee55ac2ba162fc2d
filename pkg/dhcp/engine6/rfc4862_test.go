package engine6

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"lkt/dhcp/packet6"
)

func TestRoutersAndPrefixes(t *testing.T) {
	for name, play := range map[string]func(*conversation){
		"RFC 4862 5.5.3 makes an address": func(c *conversation) {
			c.advertise()
			c.expect(usual)
		},
		"RFC 7559 asks until a router answers": func(c *conversation) {
			c.wait(32 * time.Second)
			c.expect("solicit routers", "solicit routers", "solicit routers")
			c.advertise()
			c.expect(usual)
			c.wait(20 * time.Minute)
			c.expect()
		},
		"RFC 4861 6.3.4 drops a router at its end and asks for others": func(c *conversation) {
			c.advertise()
			c.expect(usual)
			c.wait(30 * time.Minute)
			c.expect("solicit routers", noRoute)
		},
		"RFC 4861 6.3.4 drops a router that says so": func(c *conversation) {
			c.advertise()
			c.expect(usual)
			c.wait(time.Minute)
			c.advertise(func(a *packet6.Advertisement) { a.Lifetime, a.Prefixes = 0, nil })
			c.expect("solicit routers", "configure 2001:db8:1::/64 stable 3h59m0s/23h59m0s, link 2001:db8:1::/64")
		},
		"RFC 4191 prefers a router with a higher preference": func(c *conversation) {
			c.advertise()
			c.expect(usual)
			c.wait(time.Second)
			none := func(a *packet6.Advertisement) { a.Prefixes = nil }
			c.advertiseFrom(router2, none)
			c.expect("configure 2001:db8:1::/64 stable 3h59m59s/23h59m59s, link 2001:db8:1::/64, via fe80::a")
			c.wait(time.Second)
			c.advertiseFrom(router2, none, func(a *packet6.Advertisement) { a.Preference = 1 })
			c.expect("configure 2001:db8:1::/64 stable 3h59m58s/23h59m58s, link 2001:db8:1::/64, via fe80::b")
		},
		"RFC 4862 5.5.3 e keeps an address for two hours": func(c *conversation) {
			c.advertise()
			c.expect(usual)
			c.wait(time.Second)
			c.advertise(withLifetimes(0, 0), func(a *packet6.Advertisement) { a.Prefixes[0].OnLink = false })
			c.expect("configure 2001:db8:1::/64 stable 0s/2h0m0s, link 2001:db8:1::/64, via fe80::a")
			c.wait(time.Hour)
			c.lines = nil
			c.advertise(withLifetimes(time.Minute, time.Minute))
			c.expect("configure 2001:db8:1::/64 stable 1m0s/1h0m0s, link 2001:db8:1::/64, via fe80::a")
		},
		"RFC 4862 5.5.3 ignores unusable prefixes": func(c *conversation) {
			c.advertise(func(a *packet6.Advertisement) {
				a.Prefixes = nil
				for _, p := range []string{"fe80::/64", "ff02::/64", "::/0", "::1/128", "::ffff:10.0.0.0/104", "2001:db8::/16"} {
					a.Prefixes = append(a.Prefixes, packet6.PrefixInfo{Prefix: netip.MustParsePrefix(p), OnLink: true, Autonomous: true, Valid: time.Hour, Preferred: time.Hour})
				}
				a.Prefixes = append(a.Prefixes, packet6.PrefixInfo{Prefix: prefix1, OnLink: true, Autonomous: true, Valid: time.Hour, Preferred: 2 * time.Hour})
			})
			c.expect("configure via fe80::a")
		},
		"RFC 4862 5.5.3 d makes no address of another size": func(c *conversation) {
			c.advertise(func(a *packet6.Advertisement) { a.Prefixes[0].Prefix = netip.MustParsePrefix("2001:db8:1::/80") })
			c.expect("configure link 2001:db8:1::/80, via fe80::a")
		},
		"RFC 8106 takes name servers and domains for their time": func(c *conversation) {
			c.advertise(func(a *packet6.Advertisement) {
				a.MTU = 1400
				a.Servers = []packet6.Servers{{Addresses: []netip.Addr{nameServer, netip.MustParseAddr("ff02::1")}, Lifetime: time.Minute}}
				a.Domains = []packet6.Domains{{Names: []string{"example.org", "a b", "x\nnameserver ::1"}, Lifetime: 2 * time.Minute}}
			})
			c.expect(usual + ", dns 2001:db8:1::53, search example.org, mtu 1400")
			c.wait(time.Minute)
			c.expect("configure 2001:db8:1::/64 stable 3h59m0s/23h59m0s, link 2001:db8:1::/64, via fe80::a, search example.org, mtu 1400")
		},
		"ignores an MTU below IPv6's minimum": func(c *conversation) {
			c.advertise(func(a *packet6.Advertisement) { a.MTU = 1279 })
			c.expect(usual)
		},
		"tries other addresses when one is in use, then waits": func(c *conversation) {
			c.advertise()
			c.expect(usual)
			seen := map[netip.Addr]bool{}
			for range maxDuplicates + 1 {
				own := c.last.Addresses[0].Address.Addr()
				if seen[own] {
					c.t.Errorf("%v again", own)
				}
				seen[own] = true
				c.wait(time.Second)
				c.note(c.engine.Duplicate(own, c.now))
			}
			if len(c.last.Addresses) != 0 {
				c.t.Errorf("%+v", c.last)
			}
			c.lines = nil
			c.wait(10 * time.Minute)
			c.expect()
			c.wait(duplicateWait)
			if len(c.last.Addresses) != 1 {
				c.t.Errorf("%+v", c.last)
			}
		},
		"is silent and keeps its addresses while the link is down": func(c *conversation) {
			c.advertise(managed)
			c.lines = nil
			c.note(c.engine.LinkLocal(netip.Addr{}, c.now))
			c.wait(10 * time.Minute)
			c.advertise()
			c.expect()
			c.note(c.engine.LinkLocal(linkLocal, c.now))
			c.expect("solicit routers")
			c.advertise()
			c.expect(usual)
		},
		"forgets a network that is not there when the link is up again": func(c *conversation) {
			c.advertise(func(a *packet6.Advertisement) {
				a.Servers = []packet6.Servers{{Addresses: []netip.Addr{nameServer}, Lifetime: time.Hour}}
			})
			c.expect(usual + ", dns 2001:db8:1::53")
			c.wait(time.Minute)
			c.note(c.engine.LinkLocal(netip.Addr{}, c.now))
			c.wait(time.Minute)
			c.note(c.engine.LinkLocal(linkLocal, c.now))
			c.expect("solicit routers")
			c.wait(time.Second)
			other := netip.MustParsePrefix("2001:db8:9::/64")
			c.advertiseFrom(router2, func(a *packet6.Advertisement) { a.Prefixes[0].Prefix = other })
			c.wait(confirmTime)
			c.lines = c.lines[len(c.lines)-1:]
			c.expect("configure 2001:db8:9::/64 stable 3h59m41s/23h59m41s, link 2001:db8:9::/64, via fe80::b")
		},
		"configures once a second at most": func(c *conversation) {
			c.advertise()
			for range 1000 {
				c.advertise()
			}
			c.expect(usual)
			c.wait(time.Second)
			c.expect("configure 2001:db8:1::/64 stable 3h59m59s/23h59m59s, link 2001:db8:1::/64, via fe80::a")
		},
		"keeps the first of many routers, prefixes and servers": func(c *conversation) {
			for at := range 100 {
				c.advertiseFrom(netip.MustParseAddr(fmt.Sprintf("fe80::%x", at+0xa)), func(a *packet6.Advertisement) {
					a.Prefixes[0].Prefix = netip.MustParsePrefix(fmt.Sprintf("2001:db8:%x::/64", at+1))
					a.Servers = []packet6.Servers{{Addresses: []netip.Addr{netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", at+1))}, Lifetime: time.Hour}}
					a.Domains = []packet6.Domains{{Names: []string{fmt.Sprintf("a%d.example", at)}, Lifetime: time.Hour}}
				})
			}
			c.wait(time.Second)
			if c.last.Addresses[0].Address.Masked() != prefix1 || len(c.last.Addresses) != maxPrefixes || len(c.last.Servers) != 8 ||
				len(c.last.Domains) != maxDomains || len(c.engine.routers) != maxRouters {
				c.t.Errorf("%+v", c.last)
			}
		},
	} {
		t.Run(name, func(t *testing.T) { play(start(t)) })
	}
}

func TestStableAddress(t *testing.T) { // RFC 7217
	address := func(network, link, secret string, duplicates int) netip.Addr {
		p := prefix{prefix: netip.MustParsePrefix(network), valid: time.Hour, duplicates: duplicates}
		own, ok := p.address(Config{Link: link, Secret: []byte(secret)})
		if !ok || own.Masked() != p.prefix {
			t.Fatalf("%v, %v", own, ok)
		}
		return own.Addr()
	}
	usual := address("2001:db8:1::/64", "eth0", "s", 0)
	if again := address("2001:db8:1::/64", "eth0", "s", 0); again != usual {
		t.Errorf("%v is not %v", again, usual)
	}
	seen := map[[8]byte]bool{}
	for _, a := range []netip.Addr{
		usual, address("2001:db8:2::/64", "eth0", "s", 0), address("2001:db8:1::/64", "eth1", "s", 0),
		address("2001:db8:1::/64", "eth0", "t", 0), address("2001:db8:1::/64", "eth0", "s", 1),
	} {
		sixteen := a.As16()
		seen[[8]byte(sixteen[8:])] = true
	}
	if len(seen) != 5 {
		t.Errorf("%d different identifiers", len(seen))
	}
	for text, want := range map[string]bool{
		"::": true, "::1": false, "::fdff:ffff:ffff:ff80": true, "::fdff:ffff:ffff:ffff": true, "::fdff:ffff:ffff:ff7f": false,
		"::200:5eff:fe00:5213": true, "::200:5eff:fe00:1": true, "::200:5eff:fe01:1": false,
	} {
		sixteen := netip.MustParseAddr(text).As16()
		if got := isReserved([8]byte(sixteen[8:])); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
