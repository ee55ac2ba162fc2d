package command

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"lkt/netlink"
)

func TestSplit(t *testing.T) {
	for line, want := range map[string][]string{
		"":                             nil,
		"  # a comment":                nil,
		"link set eth0 up # and so on": {"link", "set", "eth0", "up"},
		`link set eth0 alias "to the lab"` + "\t": {"link", "set", "eth0", "alias", "to the lab"},
	} {
		if got, err := split(line); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v", line, got, err)
		}
	}
	if _, err := split(`alias "open`); err == nil {
		t.Error("accepted a missing closing quote")
	}
}

func TestRunReportsInvalidCommands(t *testing.T) {
	tool, err := New(&bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	for command, want := range map[string]string{
		"neighbor show":                              `unknown object "neighbor"`,
		"rule show":                                  `unknown rule command "show"`,
		"rule add from all":                          `"table" is missing`,
		"rule add from 10.0.0.1 to ::1 table 7":      "another address family",
		"rule add iif lo table 7":                    `unexpected argument "iif"`,
		"-json link":                                 `unknown option "-json"`,
		"address add 10.0.0.1/33 dev lo":             "invalid address",
		"address add 10.0.0.1/24":                    `"dev" is missing`,
		"address add dev lo":                         "address is missing",
		"address add 10.0.0.1/24 dev lo brd":         `"brd" needs a value`,
		"address add ::1 brd + dev lo":               "IPv6 has no broadcast",
		"route add 10.0.0.1/24 dev lo":               "use 10.0.0.0/24",
		"route add default via fe80::1 src 10.0.0.1": "another address family",
		"route add via 10.0.0.1":                     "destination is missing",
		"route add default via 10.0.0.1 nexthop":     `unexpected argument "nexthop"`,
		"link add x type bond":                       `unknown type "bond"`,
		"link add x type vlan":                       `a vlan needs "id"`,
		"link add x":                                 `"type" is missing`,
		"link add a/b type dummy":                    "invalid interface name",
		"link set absent up":                         `no such interface: "absent"`,
		"link set lo mtu 70000":                      "must be a number from 0 to 65536",
		"link set lo mtu":                            `"mtu" needs a value`,
	} {
		if err := tool.Run(strings.Fields(command)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", command, err)
		}
	}
}

func TestBatchStopsAtFirstFailure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "batch")
	if err := os.WriteFile(path, []byte("# first\nlink show \\\n lo\nlink show absent\nlink show lo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for force, want := range map[string]int{"": 1, "-force": 2} {
		var out bytes.Buffer
		tool, err := New(&out)
		if err != nil {
			t.Fatal(err)
		}
		err = tool.Run(strings.Fields(force + " -b " + path))
		if err == nil || !strings.Contains(err.Error(), path+":4: link show absent: no such interface") {
			t.Errorf("%q: %v", force, err)
		}
		if got := strings.Count(out.String(), "LOOPBACK"); got != want {
			t.Errorf("%q: shown %d times", force, got)
		}
	}
}

func TestEffectiveScope(t *testing.T) {
	via := netip.MustParseAddr("192.0.2.1")
	for name, c := range map[string]struct {
		r    route
		add  bool
		want uint8
	}{
		"via gateway": {route{family: syscall.AF_INET, kind: 1, via: via}, true, 0},
		"on-link":     {route{family: syscall.AF_INET, kind: 1}, true, 253},
		"delete":      {route{family: syscall.AF_INET, kind: 1}, false, 255},
		"blackhole":   {route{family: syscall.AF_INET, kind: 6}, true, 0},
		"IPv6":        {route{family: syscall.AF_INET6, kind: 1}, false, 0},
	} {
		if got := c.r.effectiveScope(c.add); got != c.want {
			t.Errorf("%s: %d", name, got)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("link set eth0 alias \"a b\" # c")
	f.Fuzz(func(t *testing.T, line string) {
		all, err := split(line)
		total := 0
		for _, word := range all {
			total += len(word)
		}
		if err == nil && total > len(line) {
			t.Fatalf("%d characters of %d", total, len(line))
		}
	})
}

// FuzzLink parses the kernel's links, whose names other programs choose.
func FuzzLink(f *testing.F) {
	b := infoMessage(2, 0, 0)
	b.AddText(syscall.IFLA_IFNAME, "eth0")
	b.Nest(iflaLinkInfo, func(b *netlink.Body) { b.AddText(infoKind, "veth") })
	f.Add([]byte(b))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := parseLink(netlink.Message{Kind: syscall.RTM_NEWLINK, Data: data})
		if err == nil && len(l.name)+len(l.kind)+len(l.hardware) > len(data) {
			t.Fatalf("%+v", l)
		}
	})
}
