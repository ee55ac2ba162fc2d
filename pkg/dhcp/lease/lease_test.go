package lease

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

func sample() *Lease {
	return &Lease{
		Address: netip.MustParsePrefix("10.0.2.15/24"),
		Server:  netip.MustParseAddr("10.0.2.2"),
		Routes: []Route{
			{To: netip.MustParsePrefix("192.0.2.1/32")},
			{To: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("192.0.2.1")},
			{To: netip.MustParsePrefix("172.16.0.0/12"), Via: netip.MustParseAddr("10.0.2.3")},
		},
		NameServers: []netip.Addr{netip.MustParseAddr("10.0.2.3")},
		Domain:      "example.org",
		Search:      []string{"a.example.org", "example.org"},
		HostName:    "web-1.example.org",
		TimeServers: []netip.Addr{netip.MustParseAddr("10.0.2.4")},
		MTU:         1400,
		Time:        time.Hour,
	}
}

func TestDecodeInvertsAppend(t *testing.T) {
	got, err := Decode(sample().Append(nil))
	if err != nil || !reflect.DeepEqual(got, sample()) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestDecodeRejectsTruncatedLease(t *testing.T) {
	whole := sample().Append(nil)
	for size := range whole {
		if l, err := Decode(whole[:size]); err == nil {
			t.Errorf("%d bytes: %+v", size, l)
		}
	}
	if _, err := Decode(append(whole, 0)); err == nil {
		t.Error("accepted trailing bytes")
	}
}

func TestRejectsInvalidLease(t *testing.T) {
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	for name, change := range map[string]func(*Lease){
		"loopback":                  func(l *Lease) { l.Address = prefix("127.0.0.1/8") },
		"multicast":                 func(l *Lease) { l.Address = prefix("224.0.0.1/24") },
		"network":                   func(l *Lease) { l.Address = prefix("10.0.2.0/24") },
		"broadcast":                 func(l *Lease) { l.Address = prefix("10.0.2.255/24") },
		"prefix length 0":           func(l *Lease) { l.Address = prefix("10.0.2.15/0") },
		"no server":                 func(l *Lease) { l.Server = netip.Addr{} },
		"own address as server":     func(l *Lease) { l.Server = l.Address.Addr() },
		"short time":                func(l *Lease) { l.Time = time.Second },
		"negative time":             func(l *Lease) { l.Time = -time.Hour },
		"long time":                 func(l *Lease) { l.Time = MaxTime + 1 },
		"host name with underscore": func(l *Lease) { l.HostName = "a_b" },
		"long host name":            func(l *Lease) { l.HostName = strings.Repeat("a", 32) + "." + strings.Repeat("a", 32) },
		"host name with line break": func(l *Lease) { l.HostName = "a\nb" },
		"empty search domain":       func(l *Lease) { l.Search[0] = "" },
		"search domain with space":  func(l *Lease) { l.Search[1] = "a b" },
		"seven search domains":      func(l *Lease) { l.Search = strings.Split("a.b.c.d.e.f.g", ".") },
		"time server 127.0.0.1":     func(l *Lease) { l.TimeServers[0] = addr("127.0.0.1") },
		"nine time servers":         func(l *Lease) { l.TimeServers = make([]netip.Addr, 9) },
		"MTU 1279":                  func(l *Lease) { l.MTU = 1279 },
		"MTU 68":                    func(l *Lease) { l.MTU = 68 },
		"MTU 65535":                 func(l *Lease) { l.MTU = 65535 },
		"name server 0.0.0.0":       func(l *Lease) { l.NameServers[0] = addr("0.0.0.0") },
		"nine name servers":         func(l *Lease) { l.NameServers = make([]netip.Addr, 9) },
		"domain with line break":    func(l *Lease) { l.Domain = "a\nnameserver 6.6.6.6" },
		"domain with space":         func(l *Lease) { l.Domain = "a b" },
		"long domain":               func(l *Lease) { l.Domain = strings.Repeat("a.", 127) + "a" },
		"route to loopback":         func(l *Lease) { l.Routes[0].To = prefix("127.0.0.0/8") },
		"route to multicast":        func(l *Lease) { l.Routes[0].To = prefix("224.0.0.0/4") },
		"route with host bits":      func(l *Lease) { l.Routes[0].To = prefix("10.1.2.3/8") },
		"off-link gateway":          func(l *Lease) { l.Routes[1].Via = addr("198.51.100.1") },
		"own address as gateway":    func(l *Lease) { l.Routes[1].Via = l.Address.Addr() },
		"too many routes":           func(l *Lease) { l.Routes = make([]Route, MaxRoutes+1) },
	} {
		l := sample()
		change(l)
		if l.Check() == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := Decode(l.Append(nil)); err == nil {
			t.Errorf("%s: decoded", name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(sample().Append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := Decode(b)
		if err != nil {
			return
		}
		if again, err := Decode(l.Append(nil)); err != nil || !reflect.DeepEqual(again, l) {
			t.Fatalf("%+v is not %+v: %v", again, l, err)
		}
	})
}
