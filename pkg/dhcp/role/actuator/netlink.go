package actuator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"lkt/dhcp/lease"
)

// routeSocket is a netlink route socket (rtnetlink(7)).
type routeSocket struct {
	fd       int
	sequence uint32
	buffer   []byte
}

// OpenRouteSocket opens the netlink socket that sets addresses and routes.
func OpenRouteSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return -1, fmt.Errorf("netlink: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("netlink: %w", err)
	}
	return fd, nil
}

// OpenRouteMonitor opens a socket that is readable after a change of routes or links.
func OpenRouteMonitor() (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return -1, fmt.Errorf("netlink: %w", err)
	}
	const groups = unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("netlink: %w", err)
	}
	return fd, nil
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

// setAddress sets an address without a route to its subnet, which setRoutes adds. With a lifetime,
// the kernel removes it by itself if no process renews it.
func (k *routeSocket) setAddress(index int, address netip.Prefix, lifetime time.Duration) error {
	body := addressBody(index, address)
	four := address.Addr().As4()
	body = attribute(body, unix.IFA_ADDRESS, four[:])
	if bits := address.Bits(); bits < 31 {
		_, last := lease.SubnetLimits(address)
		four := last.As4()
		body = attribute(body, unix.IFA_BROADCAST, four[:])
	}
	body = attribute(body, unix.IFA_FLAGS, binary.NativeEndian.AppendUint32(nil, unix.IFA_F_NOPREFIXROUTE))
	if lifetime != lease.Infinite {
		seconds := uint32(max(lifetime/time.Second, 1))
		info := binary.NativeEndian.AppendUint32(nil, seconds) // preferred
		info = binary.NativeEndian.AppendUint32(info, seconds) // valid
		body = attribute(body, unix.IFA_CACHEINFO, append(info, make([]byte, 8)...))
	}
	return k.request(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, body)
}

// removeAddress removes an address and its routes. It succeeds if the address does not exist.
func (k *routeSocket) removeAddress(index int, address netip.Addr) error {
	err := k.request(unix.RTM_DELADDR, 0, addressBody(index, netip.PrefixFrom(address, 32)))
	if errors.Is(err, unix.EADDRNOTAVAIL) {
		return nil
	}
	return err
}

// addressBody returns struct ifaddrmsg and the local address.
func addressBody(index int, address netip.Prefix) []byte {
	body := []byte{unix.AF_INET, byte(address.Bits()), 0, unix.RT_SCOPE_UNIVERSE}
	body = binary.NativeEndian.AppendUint32(body, uint32(index))
	four := address.Addr().As4()
	return attribute(body, unix.IFA_LOCAL, four[:])
}

// setMTU sends struct ifinfomsg and the MTU.
func (k *routeSocket) setMTU(index, mtu int) error {
	body := binary.NativeEndian.AppendUint32([]byte{unix.AF_UNSPEC, 0, 0, 0}, uint32(index))
	body = append(body, make([]byte, 8)...) // flags and change mask: none
	body = attribute(body, unix.IFLA_MTU, binary.NativeEndian.AppendUint32(nil, uint32(mtu)))
	return k.request(unix.RTM_NEWLINK, 0, body)
}

// request sends a message and waits for the kernel's acknowledgement.
func (k *routeSocket) request(kind, flags uint16, body []byte) error {
	if err := k.send(kind, flags|unix.NLM_F_ACK, body); err != nil {
		return err
	}
	for {
		done, err := k.receive(func(uint16, []byte) {})
		if done || err != nil {
			return err
		}
	}
}

// maxAnswers limits the messages of a dump.
const maxAnswers = 1 << 16

// dump calls each with the data of every message of a kind in a dump.
func (k *routeSocket) dump(kind, answer uint16, body []byte, each func(data []byte)) error {
	if err := k.send(kind, unix.NLM_F_DUMP, body); err != nil {
		return err
	}
	for count := 0; count < maxAnswers; {
		done, err := k.receive(func(kind uint16, data []byte) {
			if count++; kind == answer {
				each(data)
			}
		})
		if done || err != nil {
			return err
		}
	}
	return errors.New("too many netlink messages")
}

func (k *routeSocket) send(kind, flags uint16, body []byte) error {
	k.sequence++
	message := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+len(body)))
	message = binary.NativeEndian.AppendUint16(message, kind)
	message = binary.NativeEndian.AppendUint16(message, flags|unix.NLM_F_REQUEST)
	message = binary.NativeEndian.AppendUint32(message, k.sequence)
	message = append(binary.NativeEndian.AppendUint32(message, 0), body...)
	return unix.Sendto(k.fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

// receive reads a datagram with messages. done means an acknowledgement, or the end of a dump.
func (k *routeSocket) receive(each func(kind uint16, data []byte)) (done bool, err error) {
	if k.buffer == nil {
		k.buffer = make([]byte, 1<<16)
	}
	size, _, err := unix.Recvfrom(k.fd, k.buffer, 0)
	if errors.Is(err, unix.EINTR) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for rest := k.buffer[:size]; len(rest) >= unix.NLMSG_HDRLEN; {
		length := int(binary.NativeEndian.Uint32(rest))
		if length < unix.NLMSG_HDRLEN || length > len(rest) {
			return false, errors.New("malformed netlink message")
		}
		kind, data := binary.NativeEndian.Uint16(rest[4:]), rest[unix.NLMSG_HDRLEN:length]
		mine := binary.NativeEndian.Uint32(rest[8:]) == k.sequence
		rest = rest[min((length+3)&^3, len(rest)):]
		switch {
		case !mine:
		case kind == unix.NLMSG_DONE:
			return true, nil
		case kind == unix.NLMSG_ERROR:
			if len(data) < 4 {
				return false, errors.New("malformed netlink message")
			}
			if code := -int32(binary.NativeEndian.Uint32(data)); code != 0 {
				return true, unix.Errno(code)
			}
			return true, nil
		default:
			each(kind, data)
		}
	}
	return false, nil
}

// attributes iterates over well-formed attributes.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= 4 {
			size := int(binary.NativeEndian.Uint16(b))
			if size < 4 || size > len(b) {
				return
			}
			const flags = 0xc000 // NLA_F_NESTED, NLA_F_NET_BYTEORDER
			if !yield(binary.NativeEndian.Uint16(b[2:])&^flags, b[4:size]) {
				return
			}
			b = b[min((size+3)&^3, len(b)):]
		}
	}
}

func attribute(body []byte, kind uint16, value []byte) []byte {
	body = binary.NativeEndian.AppendUint16(body, uint16(4+len(value)))
	body = binary.NativeEndian.AppendUint16(body, kind)
	body = append(body, value...)
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	return body
}
