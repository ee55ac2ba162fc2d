package wireguard

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

const (
	private = "KG7EKkHDkp7THfW5mOXcZzo3RbGAjq+ARMfJGFm5G1s="
	public  = "ZP7h1OjA1oIAmsAvMKujp2RAAC/f0kY814b3Xq6j/0Y="
)

// The config of LinuxKit's example.
const quick = `[Interface]
Address = 192.168.2.1/24, fd00::1/64
DNS = 192.168.2.2
PrivateKey = ` + private + `
ListenPort = 51820 # usual
[Peer]
PublicKey = ` + public + `
AllowedIPs = 0.0.0.0/0
AllowedIPs = fd00::/8,10.1.2.3/16
Endpoint = 127.0.0.1:51821
PersistentKeepalive = 25
`

func TestParseConfig(t *testing.T) {
	d, err := ParseConfig(quick, true)
	if err != nil {
		t.Fatal(err)
	}
	if d.PrivateKey.String() != private || *d.ListenPort != 51820 || fmt.Sprint(d.Quick.Addresses) != "[192.168.2.1/24 fd00::1/64]" {
		t.Errorf("%+v", d)
	}
	p := d.Peers[0]
	if p.PublicKey.String() != public || fmt.Sprint(p.AllowedIPs) != "[0.0.0.0/0 fd00::/8 10.1.0.0/16]" || *p.Keepalive != 25 ||
		p.Endpoint != "127.0.0.1:51821" || !p.ReplaceAllowed {
		t.Errorf("%+v", p)
	}
}

func TestParseConfigErrorsHaveNoSecrets(t *testing.T) {
	for text, want := range map[string]string{
		"PrivateKey = x": "line 1: privatekey: not in a section",
		"[Interface]\nPrivateKey = " + private[:43]: "line 2: privatekey: invalid key",
		"[Interface]\nPostUp = iptables -A":         "line 2: postup: not supported: the image has no shell",
		"[Interface]\nListenPort = 65536":           `line 2: listenport: invalid port "65536"`,
		"[Interface]\nSecret":                       "line 2: expected NAME = VALUE",
		"[Peer]\nAllowedIPs = 1.2.3.4/33":           "line 2: allowedips: ",
		"[Peer]\nEndpoint = a_b:1":                  "line 2: endpoint: ",
		"[Peer]\nAllowedIPs = 10.0.0.0/8":           "peer 1 has no PublicKey",
		"[Pear]":                                    "line 1: unknown section [Pear]",
	} {
		_, err := ParseConfig(text, true)
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), private[:43]) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := ParseConfig(quick, false); err == nil || !strings.Contains(err.Error(), "address: unknown setting") {
		t.Errorf("a wg-quick setting without quick: %v", err)
	}
}

// A request has the same form as the kernel's state, except for secrets and flags.
func TestReadReadsRequests(t *testing.T) {
	d, err := ParseConfig(quick, true)
	if err != nil {
		t.Fatal(err)
	}
	p := d.Peers[0]
	p.Endpoint = "[2001:db8::1]:51821"
	for i := range 2 * maxAllowedPerRequest {
		p.AllowedIPs = append(p.AllowedIPs, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)}), 32))
	}
	requests, err := p.requests("wg0", func(text string) (netip.AddrPort, error) { return netip.ParseAddrPort(text) })
	if err != nil || len(requests) != 3 {
		t.Fatalf("%d requests, %v", len(requests), err)
	}
	got := &Device{}
	for _, body := range requests {
		if err := got.read(body); err != nil {
			t.Fatal(err)
		}
	}
	p.ReplaceAllowed = false
	if len(got.Peers) != 1 || !reflect.DeepEqual(got.Peers[0], p) {
		t.Errorf("%+v", got.Peers)
	}
}

func TestRequestsFailForUnknownHost(t *testing.T) {
	p := Peer{Endpoint: "absent.example:1"}
	if _, err := p.requests("wg0", func(string) (netip.AddrPort, error) { return netip.AddrPort{}, errors.New("no") }); err == nil {
		t.Error("no error")
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add(quick)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseConfig(text, true)
		if err != nil {
			return
		}
		for _, p := range d.Peers {
			for _, a := range p.AllowedIPs {
				if !a.IsValid() || a != a.Masked() {
					t.Fatalf("%v is not a network", a)
				}
			}
		}
	})
}

func FuzzRead(f *testing.F) {
	d, _ := ParseConfig(quick, true)
	requests, _ := d.Peers[0].requests("wg0", netip.ParseAddrPort)
	f.Add([]byte(requests[0]))
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = (&Device{}).read(data)
	})
}
