package wire

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"lkt/dhcp/channel"
	"lkt/dhcp/packet"
	"lkt/dhcp/rtnl"
	"lkt/dhcp/setup"
)

// link is the state of an interface of the setup. Its index and hardware address change when the
// interface is replaced.
type link struct {
	name      string
	index     int
	hardware  packet.HardwareAddr
	carrier   bool
	linkLocal netip.Addr // invalid until it is unique
}

// OpenMonitor opens the socket that tells the state of links and addresses.
func OpenMonitor() (int, error) { return rtnl.Open(unix.RTMGRP_LINK | unix.RTMGRP_IPV6_IFADDR) }

// requestLinks asks the kernel for all links, and then for all addresses: a socket has one answer
// at a time.
func (w *wire) requestLinks() error {
	if w.asked != 0 {
		w.again = true
		return nil
	}
	return w.request(unix.RTM_GETLINK, make([]byte, unix.SizeofIfInfomsg))
}

func (w *wire) request(kind uint16, body []byte) error {
	w.asked = kind
	message := rtnl.Request(kind, unix.NLM_F_DUMP, 1, body)
	return unix.Sendto(setup.WireMonitor, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

// answered continues after the end of an answer.
func (w *wire) answered() error {
	asked := w.asked
	w.asked = 0
	if asked == unix.RTM_GETLINK {
		body := make([]byte, unix.SizeofIfAddrmsg)
		body[0] = unix.AF_INET6
		return w.request(unix.RTM_GETADDR, body)
	}
	if w.again {
		w.again = false
		return w.requestLinks()
	}
	return nil
}

// readLinks reads notifications and tells the engine what has changed.
func (w *wire) readLinks(ask func(message []byte) error) error {
	data := w.netlink
	for {
		size, _, _, _, err := unix.Recvmsg(setup.WireMonitor, data, nil, 0)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ENOBUFS): // some were lost
			if err := w.requestLinks(); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		messages, err := rtnl.Messages(data[:size])
		if err != nil {
			return err
		}
		for _, m := range messages {
			if err := w.readLink(m, ask); err != nil {
				return err
			}
		}
	}
}

func (w *wire) readLink(m rtnl.Message, ask func(message []byte) error) error {
	switch m.Kind {
	case unix.NLMSG_DONE, unix.NLMSG_ERROR:
		return w.answered()
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		found, ok := rtnl.ParseLink(m.Data)
		if !ok {
			return nil
		}
		for at := range w.links {
			before := w.links[at]
			w.links[at].update(found, m.Kind == unix.RTM_DELLINK)
			if w.links[at] != before {
				return ask(w.links[at].message(at))
			}
		}
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		a, ok := rtnl.ParseAddress(m.Data)
		if !ok {
			return nil
		}
		for at := range w.links {
			if l := &w.links[at]; l.index == a.Index {
				return l.updateAddress(at, a, m.Kind == unix.RTM_DELADDR, ask)
			}
		}
	}
	return nil
}

// update takes the state of the interface with the link's name.
func (l *link) update(found rtnl.Link, removed bool) {
	switch {
	case found.Name != l.name:
		if found.Index == l.index { // renamed
			*l = link{name: l.name}
		}
	case removed:
		if found.Index == l.index {
			*l = link{name: l.name}
		}
	case !found.Ethernet:
	default:
		if found.Index != l.index {
			*l = link{name: l.name, index: found.Index}
		}
		l.hardware, l.carrier = found.Hardware, found.Carrier
		if !found.Up {
			l.linkLocal = netip.Addr{}
		}
	}
}

func (l *link) updateAddress(at int, a rtnl.Address, removed bool, ask func(message []byte) error) error {
	address := a.Prefix.Addr()
	switch {
	case !address.IsLinkLocalUnicast():
		if a.Duplicate {
			return ask(channel.Duplicate{Interface: at, Address: address}.Encode())
		}
		return nil
	case removed && address == l.linkLocal:
		l.linkLocal = netip.Addr{}
	case removed || a.Tentative || a.Duplicate || l.linkLocal.IsValid():
		return nil
	default:
		l.linkLocal = address
	}
	return ask(l.message(at))
}

func (l *link) message(at int) []byte {
	return channel.Link{Interface: at, Carrier: l.carrier, Hardware: l.hardware, LinkLocal: l.linkLocal}.Encode()
}
