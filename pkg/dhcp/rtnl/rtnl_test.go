package rtnl

import (
	"testing"

	"golang.org/x/sys/unix"
)

// FuzzMessages parses datagrams of a route socket, whose texts other programs choose: names of
// interfaces and addresses.
func FuzzMessages(f *testing.F) {
	f.Add(Request(unix.RTM_NEWLINK, 0, 1, LinkByName("eth0")))
	address := append([]byte{unix.AF_INET6, 64, 0, 0, 1, 0, 0, 0}, Attribute(nil, unix.IFA_ADDRESS, make([]byte, 16))...)
	f.Add(append(Request(unix.RTM_NEWADDR, 0, 1, address), Request(unix.NLMSG_DONE, 0, 1, nil)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := Messages(b)
		size := 0
		for _, m := range all {
			size += unix.NLMSG_HDRLEN + len(m.Data)
			if l, valid := ParseLink(m.Data); valid && l.Name == "" {
				t.Fatalf("a link without a name: %+v", l)
			}
			if a, valid := ParseAddress(m.Data); valid && !a.Prefix.IsValid() {
				t.Fatalf("%+v", a)
			}
		}
		if size > len(b) || err == nil && len(b) >= unix.NLMSG_HDRLEN && len(all) == 0 {
			t.Fatalf("%d messages of %d bytes in %d", len(all), size, len(b))
		}
	})
}

func TestMessagesAreSplit(t *testing.T) {
	both := append(Request(unix.RTM_NEWLINK, 0, 1, LinkByName("eth0")), Request(unix.NLMSG_DONE, 0, 2, nil)...)
	all, err := Messages(both)
	if err != nil || len(all) != 2 || all[0].Kind != unix.RTM_NEWLINK || all[1].Sequence != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	if l, valid := ParseLink(all[0].Data); !valid || l.Name != "eth0" {
		t.Errorf("%+v", l)
	}
	if _, err := Messages(both[:len(both)-unix.NLMSG_HDRLEN-1]); err == nil {
		t.Error("accepts a truncated message")
	}
}
