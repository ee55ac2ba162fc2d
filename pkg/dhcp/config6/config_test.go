package config6

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"lkt/dhcp/lease"
)

func sample() *Config {
	return &Config{
		Addresses: []Address{
			{netip.MustParsePrefix("2001:db8:1::5/64"), time.Hour, 2 * time.Hour, true},
			{netip.MustParsePrefix("fd00::100/128"), 0, time.Hour, false},
		},
		Routes: []lease.Route{
			{To: netip.MustParsePrefix("2001:db8:1::/64")},
			{To: netip.MustParsePrefix("::/0"), Via: netip.MustParseAddr("fe80::a")},
		},
		Servers: []netip.Addr{netip.MustParseAddr("2001:db8::53"), netip.MustParseAddr("fe80::a")},
		Domains: []string{"example.org"},
		MTU:     1400,
	}
}

func TestDecodeInvertsAppend(t *testing.T) {
	got, err := Decode(sample().Append(nil))
	if err != nil || !reflect.DeepEqual(got, sample()) {
		t.Errorf("got %+v, %v", got, err)
	}
	whole := sample().Append(nil)
	for size := range whole {
		if c, err := Decode(whole[:size]); err == nil {
			t.Errorf("%d bytes: %+v", size, c)
		}
	}
	if _, err := Decode(append(whole, 0)); err == nil {
		t.Error("accepted trailing bytes")
	}
}

func TestRejectsInvalidConfiguration(t *testing.T) {
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	for name, change := range map[string]func(*Config){
		"link-local address":     func(c *Config) { c.Addresses[0].Address = prefix("fe80::5/64") },
		"multicast":              func(c *Config) { c.Addresses[0].Address = prefix("ff02::5/64") },
		"loopback":               func(c *Config) { c.Addresses[0].Address = prefix("::1/128") },
		"mapped IPv4":            func(c *Config) { c.Addresses[0].Address = prefix("::ffff:10.0.0.1/120") },
		"IPv4":                   func(c *Config) { c.Addresses[0].Address = prefix("10.0.0.1/24") },
		"prefix length 0":        func(c *Config) { c.Addresses[0].Address = prefix("2001:db8::5/0") },
		"no lifetime":            func(c *Config) { c.Addresses[0].Valid, c.Addresses[0].Preferred = 0, 0 },
		"negative lifetime":      func(c *Config) { c.Addresses[0].Preferred = -1 },
		"long lifetime":          func(c *Config) { c.Addresses[0].Valid = MaxTime + 1 },
		"preferred after valid":  func(c *Config) { c.Addresses[0].Preferred = 3 * time.Hour },
		"route via global":       func(c *Config) { c.Routes[1].Via = addr("2001:db8::1") },
		"specific route via":     func(c *Config) { c.Routes[1].To = prefix("2001:db8:2::/48") },
		"half of everything":     func(c *Config) { c.Routes[1].To = prefix("8000::/1") },
		"on-link everything":     func(c *Config) { c.Routes[0].To = prefix("::/0") },
		"on-link multicast":      func(c *Config) { c.Routes[0].To = prefix("ff02::/64") },
		"route with host bits":   func(c *Config) { c.Routes[0].To = prefix("2001:db8:1::1/64") },
		"multicast name server":  func(c *Config) { c.Servers[0] = addr("ff02::1") },
		"loopback name server":   func(c *Config) { c.Servers[0] = addr("::1") },
		"name server with zone":  func(c *Config) { c.Servers[1] = c.Servers[1].WithZone("x") },
		"domain with line break": func(c *Config) { c.Domains[0] = "a\nnameserver ::1" },
		"empty domain":           func(c *Config) { c.Domains[0] = "" },
		"MTU 1279":               func(c *Config) { c.MTU = 1279 },
		"MTU 65535":              func(c *Config) { c.MTU = 65535 },
		"many addresses":         func(c *Config) { c.Addresses = make([]Address, MaxAddresses+1) },
		"many routes":            func(c *Config) { c.Routes = make([]lease.Route, MaxRoutes+1) },
		"many servers":           func(c *Config) { c.Servers = make([]netip.Addr, MaxServers+1) },
		"many domains":           func(c *Config) { c.Domains = make([]string, MaxDomains+1) },
	} {
		c := sample()
		change(c)
		if c.Check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(sample().Append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Decode(b)
		if err != nil {
			return
		}
		if again, err := Decode(c.Append(nil)); err != nil || !reflect.DeepEqual(again, c) {
			t.Fatalf("%+v is not %+v: %v", again, c, err)
		}
	})
}
