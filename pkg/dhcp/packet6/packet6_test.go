package packet6

import (
	"bytes"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

var (
	client = netip.MustParseAddr("fe80::1")
	router = netip.MustParseAddr("fe80::a")
	nodes  = netip.MustParseAddr("ff02::1")
	server = []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 9}
	own    = []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 1}
)

// advertisement returns a router advertisement as an IPv6 packet.
func advertisement(options ...byte) []byte {
	message := append([]byte{typeAdvertisement, 0, 0, 0, 64, 0xc8, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0}, options...)
	return wrap(router, nodes, icmp, maxHops, message, 2)
}

func hexOption(text string) []byte {
	var b []byte
	for _, part := range strings.Fields(text) {
		if a, err := netip.ParseAddr(part); err == nil && a.Is6() {
			sixteen := a.As16()
			b = append(b, sixteen[:]...)
			continue
		}
		for at := 0; at < len(part); at += 2 {
			b = append(b, unhex(part[at])<<4|unhex(part[at+1]))
		}
	}
	return b
}

func unhex(c byte) byte { return byte(strings.IndexByte("0123456789abcdef", c)) }

func TestParseAdvertisement(t *testing.T) {
	options := hexOption("0304 40c0 00000e10 00000708 00000000 2001:db8:1:: " +
		"0501 0000 00000578 " +
		"1903 0000 ffffffff 2001:db8::53 " +
		"1f02 0000 0000003c 0161 0162 00 000000 " + // "a.b"
		"1802 0000 00000e10 2001db8000000000 " + // a route, which is left out
		"0101 020000000009")
	p, err := Unwrap(advertisement(options...), true)
	if err != nil || p.From != router || !p.IsAdvertisement() {
		t.Fatalf("%+v, %v", p, err)
	}
	got, err := ParseAdvertisement(p.Payload)
	want := &Advertisement{
		Managed: true, Other: true, Preference: 1, Lifetime: 0x708 * time.Second, MTU: 1400,
		Prefixes: []PrefixInfo{{netip.MustParsePrefix("2001:db8:1::/64"), true, true, time.Hour, 30 * time.Minute}},
		Servers:  []Servers{{[]netip.Addr{netip.MustParseAddr("2001:db8::53")}, Infinite}},
		Domains:  []Domains{{[]string{"a.b"}, time.Minute}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestRejectsInvalidAdvertisements(t *testing.T) {
	for name, options := range map[string][]byte{
		"option of length 0":      {3, 0, 0, 0, 0, 0, 0, 0},
		"truncated option":        {3, 4, 0, 0, 0, 0, 0, 0},
		"trailing bytes":          {1, 1, 0},
		"more options than known": bytes.Repeat([]byte{99, 1, 0, 0, 0, 0, 0, 0}, maxOptions+1),
	} {
		p, err := Unwrap(advertisement(options...), true)
		if err != nil {
			t.Fatal(err)
		}
		if a, err := ParseAdvertisement(p.Payload); err == nil {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func TestUnwrapAcceptsOnlyPacketsOfThisLink(t *testing.T) {
	good := advertisement()
	fix := func(b []byte) []byte { // make the checksum right
		p := Packet{From: netip.AddrFrom16([16]byte(b[8:24])), To: netip.AddrFrom16([16]byte(b[24:40])), Payload: b[40:]}
		return wrap(p.From, p.To, b[6], b[7], append(append([]byte{}, b[40], b[41], 0, 0), b[44:]...), 2)
	}
	for name, change := range map[string]func([]byte) []byte{
		"hop limit 254":   func(b []byte) []byte { b[7] = 254; return fix(b) },
		"global source":   func(b []byte) []byte { b[8] = 0x20; return fix(b) },
		"code 1":          func(b []byte) []byte { b[41] = 1; return fix(b) },
		"redirect":        func(b []byte) []byte { b[40] = 137; return fix(b) },
		"hop-by-hop":      func(b []byte) []byte { b[6] = 0; return b },
		"fragment":        func(b []byte) []byte { b[6] = 44; return b },
		"IPv4":            func(b []byte) []byte { b[0] = 0x45; return b },
		"short":           func(b []byte) []byte { return b[:47] },
		"length too long": func(b []byte) []byte { b[5]++; return b },
	} {
		if p, err := Unwrap(change(bytes.Clone(good)), true); err == nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
	for at := range good[8:] {
		bad := bytes.Clone(good)
		bad[8+at] ^= 0x55
		if _, err := Unwrap(bad, true); err == nil {
			t.Errorf("byte %d changed: accepted", 8+at)
		}
	}
}

// reply returns a message of a server.
func reply(kind Type, options ...[]byte) []byte {
	b := []byte{byte(kind), 1, 2, 3}
	b = option(option(b, optionClientID, own), optionServerID, server)
	return append(b, bytes.Join(options, nil)...)
}

func TestParseDHCP(t *testing.T) {
	b := reply(Reply, hexOption("0003 0028 00000007 00000e10 00001518 0005 0018 2001:db8::100 00001c20 00002a30"),
		hexOption("0003 000c 00000008 00000000 00000000"), // another association
		hexOption("0017 0010 2001:db8::53"), hexOption("0018 0005 0161016200"), hexOption("0007 0001 ff"),
		hexOption("0020 0004 00000258"), hexOption("0052 0004 00000078"))
	got, err := ParseDHCP(b, 7)
	want := &Message{
		Type: Reply, XID: 0x010203, ClientID: own, ServerID: server, Preference: 255,
		Association: &Association{
			ID: 7, T1: time.Hour, T2: 90 * time.Minute,
			Addresses: []Address{{netip.MustParseAddr("2001:db8::100"), 2 * time.Hour, 3 * time.Hour}},
		},
		Servers: []netip.Addr{netip.MustParseAddr("2001:db8::53")}, Names: []string{"a.b"},
		Refresh: 10 * time.Minute, MaxSolicit: 2 * time.Minute,
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v %+v, %v", got, got.Association, err)
	}
}

func TestRejectsInvalidDHCP(t *testing.T) {
	for name, b := range map[string][]byte{
		"empty":                  nil,
		"solicitation":           reply(Solicit),
		"no identifiers":         {byte(Reply), 1, 2, 3},
		"two server identifiers": reply(Reply, option(nil, optionServerID, server)),
		"long identifier":        option([]byte{byte(Reply), 1, 2, 3}, optionClientID, make([]byte, 131)),
		"truncated option":       reply(Reply, []byte{0, 23, 0, 16, 1}),
		"trailing bytes":         reply(Reply, []byte{0}),
		"short association":      reply(Reply, option(nil, optionIANA, []byte{0, 0, 0, 7})),
		"two associations":       reply(Reply, hexOption("0003 000c 00000007 0000000000000000 0003 000c 00000007 0000000000000000")),
		"short address":          reply(Reply, hexOption("0003 0014 00000007 0000000000000000 0005 0004 01020304")),
		"short status":           reply(Reply, option(nil, optionStatus, []byte{0})),
		"many options":           reply(Reply, bytes.Repeat([]byte{0, 99, 0, 0}, maxOptionsDHCP)),
	} {
		if m, err := ParseDHCP(b, 7); err == nil {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

func TestNames(t *testing.T) {
	for _, text := range []string{"\x01a", "\x40", "\xc0\x00", "\x02a", strings.Repeat("\x3f"+strings.Repeat("a", 63), 5) + "\x00", strings.Repeat("\x01a\x00", 33)} {
		if names, err := Names([]byte(text)); err == nil {
			t.Errorf("%q: %q", text, names)
		}
	}
}

func FuzzUnwrap(f *testing.F) {
	f.Add(advertisement(hexOption("0304 40c0 00000e10 00000708 00000000 2001:db8:1:: 1903 0000 ffffffff 2001:db8::53 1f02 0000 0000003c 01610162 00000000")...))
	f.Add(WrapDHCP(client, reply(Reply, hexOption("0003 0028 00000007 00000e10 00001518 0005 0018 2001:db8::100 00001c20 00002a30"))))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 43 && b[6] == udp { // swapped ports
			b[40], b[41], b[42], b[43] = 2, 0x23, 2, 0x22
		}
		p, err := Unwrap(b, false)
		if err != nil {
			return
		}
		if !p.From.IsLinkLocalUnicast() {
			t.Fatalf("from %v", p.From)
		}
		if p.IsAdvertisement() {
			if a, err := ParseAdvertisement(p.Payload); err == nil && len(a.Prefixes)+len(a.Servers)+len(a.Domains) > maxOptions {
				t.Fatalf("%+v", a)
			}
			return
		}
		m, err := ParseDHCP(p.Payload, 7)
		if err != nil {
			return
		}
		if m.ServerID == nil || m.ClientID == nil || m.Association != nil && m.Association.ID != 7 {
			t.Fatalf("%+v", m)
		}
	})
}
