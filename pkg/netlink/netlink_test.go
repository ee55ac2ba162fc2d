package netlink

import (
	"bytes"
	"errors"
	"syscall"
	"testing"
)

func TestParseReadsBody(t *testing.T) {
	var b Body
	b.AddText(3, "eth0")
	b.AddUint8(4, 7)
	b.Nest(18, func(b *Body) {
		b.AddUint16(1, 0x1234)
		b.AddUint32(2, 0x12345678)
	})
	got, err := Parse(b)
	if err != nil || len(got) != 3 || got[0].Text() != "eth0" || !bytes.Equal(got[1].Value, []byte{7}) || got[2].Kind != 18 {
		t.Fatalf("%v, %v", got, err)
	}
	inner, err := Parse(got[2].Value)
	if err != nil || len(inner) != 2 || inner[0].Uint16() != 0x1234 || inner[1].Uint32() != 0x12345678 {
		t.Errorf("%v, %v", inner, err)
	}
}

func TestAskKernel(t *testing.T) {
	c, err := Dial(syscall.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	links, err := c.List(syscall.RTM_GETLINK, make(Body, syscall.SizeofIfInfomsg))
	if err != nil || len(links) == 0 {
		t.Errorf("%d links, %v", len(links), err)
	}
	body := make(Body, syscall.SizeofIfInfomsg)
	body.AddText(syscall.IFLA_IFNAME, "no-such-link")
	if _, err := c.Ask(syscall.RTM_GETLINK, body); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("a missing interface: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	var b Body
	b.AddText(3, "eth0")
	f.Add([]byte(b))
	f.Fuzz(func(t *testing.T, data []byte) {
		attributes, err := Parse(data)
		total := 0
		for _, a := range attributes {
			total += headerSize + len(a.Value)
		}
		if err == nil && total > len(data) {
			t.Fatalf("%d bytes of attributes in %d", total, len(data))
		}
		_, _, _ = parse(data, 0)
	})
}
