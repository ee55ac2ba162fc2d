package actuator

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"lkt/dhcp/lease"
	"lkt/dhcp/rtnl"
)

// routeSocket is a netlink route socket (rtnetlink(7)).
type routeSocket struct {
	fd       int
	sequence uint32
	buffer   []byte
}

// maxMessages limits an answer of the kernel.
const maxMessages = 1 << 16

// OpenRouteSocket opens the netlink socket that sets addresses and routes.
func OpenRouteSocket() (int, error) { return rtnl.Open(0) }

// OpenRouteMonitor opens a socket that is readable after a change of routes or links.
func OpenRouteMonitor() (int, error) {
	return rtnl.Open(unix.RTMGRP_LINK | unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE)
}

// drain reads all notifications of a monitor. Their content does not matter.
func drain(monitor int) error {
	buffer := make([]byte, 4096)
	for {
		_, _, err := unix.Recvfrom(monitor, buffer, 0)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		// Some were lost.
		case err != nil && !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.ENOBUFS):
			return err
		}
	}
}

// setAddress sets an address without a route to its subnet, which setRoutes adds. With lifetimes,
// the kernel removes it by itself if no process renews it.
func (k *routeSocket) setAddress(index int, address netip.Prefix, flags uint32, preferred, valid time.Duration) error {
	body := addressBody(index, address)
	body = rtnl.Attribute(body, unix.IFA_ADDRESS, address.Addr().AsSlice())
	if bits := address.Bits(); bits < 31 && address.Addr().Is4() {
		_, last := lease.SubnetLimits(address)
		body = rtnl.Attribute(body, unix.IFA_BROADCAST, last.AsSlice())
	}
	body = rtnl.Attribute(body, unix.IFA_FLAGS, binary.NativeEndian.AppendUint32(nil, flags|unix.IFA_F_NOPREFIXROUTE))
	body = rtnl.Attribute(body, rtnl.AddressProtocol, []byte{protocolDHCP})
	if valid != lease.Infinite {
		info := binary.NativeEndian.AppendUint32(nil, uint32(preferred/time.Second))
		info = binary.NativeEndian.AppendUint32(info, uint32(max(valid/time.Second, 1)))
		body = rtnl.Attribute(body, unix.IFA_CACHEINFO, append(info, make([]byte, 8)...))
	}
	return k.request(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, body)
}

// removeAddress removes an address and its routes. It succeeds if the address does not exist.
func (k *routeSocket) removeAddress(index int, address netip.Prefix) error {
	err := k.request(unix.RTM_DELADDR, 0, addressBody(index, address))
	if errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// addressBody returns struct ifaddrmsg and the local address.
func addressBody(index int, address netip.Prefix) []byte {
	family := byte(unix.AF_INET)
	if address.Addr().Is6() {
		family = unix.AF_INET6
	}
	body := []byte{family, byte(address.Bits()), 0, unix.RT_SCOPE_UNIVERSE}
	body = binary.NativeEndian.AppendUint32(body, uint32(index))
	return rtnl.Attribute(body, unix.IFA_LOCAL, address.Addr().AsSlice())
}

// setMTU sends struct ifinfomsg and the MTU.
func (k *routeSocket) setMTU(index, mtu int) error {
	body := linkBody(index, 0)
	body = rtnl.Attribute(body, unix.IFLA_MTU, binary.NativeEndian.AppendUint32(nil, uint32(mtu)))
	return k.request(unix.RTM_NEWLINK, 0, body)
}

func (k *routeSocket) setUp(index int) error {
	return k.request(unix.RTM_NEWLINK, 0, linkBody(index, unix.IFF_UP))
}

// linkBody returns struct ifinfomsg that sets flags.
func linkBody(index int, flags uint32) []byte {
	body := binary.NativeEndian.AppendUint32([]byte{unix.AF_UNSPEC, 0, 0, 0}, uint32(index))
	body = binary.NativeEndian.AppendUint32(body, flags)
	return binary.NativeEndian.AppendUint32(body, flags) // which of them to change
}

// request sends a message and waits for the kernel's acknowledgement.
func (k *routeSocket) request(kind, flags uint16, body []byte) error {
	return k.do(kind, flags, body, func(rtnl.Message) {})
}

// do sends a message and calls each with the kernel's answers, until its acknowledgement or the end
// of the dump.
func (k *routeSocket) do(kind, flags uint16, body []byte, each func(rtnl.Message)) error {
	k.sequence++
	message := rtnl.Request(kind, flags|unix.NLM_F_ACK, k.sequence, body)
	if err := unix.Sendto(k.fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	if k.buffer == nil {
		k.buffer = make([]byte, 1<<16)
	}
	for count := 0; count < maxMessages; {
		size, _, err := unix.Recvfrom(k.fd, k.buffer, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		messages, err := rtnl.Messages(k.buffer[:size])
		if err != nil {
			return err
		}
		for _, m := range messages {
			switch count++; {
			case m.Sequence != k.sequence:
			case m.Kind == unix.NLMSG_DONE:
				return nil
			case m.Kind == unix.NLMSG_ERROR:
				return acknowledgement(m.Data)
			default:
				each(m)
			}
		}
	}
	return errors.New("too many netlink messages")
}

func acknowledgement(data []byte) error {
	if len(data) < 4 {
		return rtnl.ErrMalformed
	}
	if code := -int32(binary.NativeEndian.Uint32(data)); code != 0 {
		return unix.Errno(code)
	}
	return nil
}
