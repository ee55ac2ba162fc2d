package command

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"syscall"

	"lkt/netlink"
)

// link is an interface, as the kernel reports it.
type link struct {
	index    uint32
	flags    uint32
	hardware net.HardwareAddr
	name     string
	mtu      uint32
	master   uint32
	kind     string
}

func (t *Tool) indexAfter(word string, w *words) (uint32, error) {
	name, err := w.value(word)
	if err != nil {
		return 0, err
	}
	return t.index(name)
}

// index returns the index of a link.
func (t *Tool) index(name string) (uint32, error) {
	if err := checkLinkName(name); err != nil {
		return 0, err
	}
	body := infoMessage(0, 0, 0)
	body.AddText(syscall.IFLA_IFNAME, name)
	answers, err := t.kernel.Ask(syscall.RTM_GETLINK, body)
	if errors.Is(err, syscall.ENODEV) {
		return 0, fmt.Errorf("no such interface: %q", name)
	}
	if err != nil {
		return 0, err
	}
	for _, answer := range answers {
		if l, err := parseLink(answer); err == nil {
			return l.index, nil
		}
	}
	return 0, fmt.Errorf("no answer from the kernel about interface %q", name)
}

func (t *Tool) links() ([]link, error) {
	answers, err := t.kernel.List(syscall.RTM_GETLINK, infoMessage(0, 0, 0))
	if err != nil {
		return nil, err
	}
	var all []link
	for _, answer := range answers {
		l, err := parseLink(answer)
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

func parseLink(m netlink.Message) (link, error) {
	if m.Kind != syscall.RTM_NEWLINK || len(m.Data) < syscall.SizeofIfInfomsg {
		return link{}, netlink.ErrMalformed
	}
	l := link{index: binary.NativeEndian.Uint32(m.Data[4:]), flags: binary.NativeEndian.Uint32(m.Data[8:])}
	attributes, err := netlink.Parse(m.Data[syscall.SizeofIfInfomsg:])
	for _, a := range attributes {
		switch a.Kind {
		case syscall.IFLA_IFNAME:
			l.name = a.Text()
		case syscall.IFLA_ADDRESS:
			l.hardware = a.Value
		case syscall.IFLA_MTU:
			l.mtu = a.Uint32()
		case syscall.IFLA_MASTER:
			l.master = a.Uint32()
		case iflaLinkInfo:
			info, _ := netlink.Parse(a.Value)
			for _, i := range info {
				if i.Kind == infoKind {
					l.kind = i.Text()
				}
			}
		}
	}
	return l, err
}

// infoMessage returns struct ifinfomsg of rtnetlink(7).
func infoMessage(index, flags, mask uint32) netlink.Body {
	b := make(netlink.Body, syscall.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b[4:], index)
	binary.NativeEndian.PutUint32(b[8:], flags)
	binary.NativeEndian.PutUint32(b[12:], mask)
	return b
}
