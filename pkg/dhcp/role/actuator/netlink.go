package actuator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"lkt/dhcp/lease"
)

// routeSocket is a netlink route socket (rtnetlink(7)).
type routeSocket struct {
	fd       int
	sequence uint32
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

// setAddress sets an address. With a lifetime, the kernel removes it by itself if no process renews
// it.
func (k *routeSocket) setAddress(index int, address netip.Prefix, lifetime time.Duration) error {
	body := addressBody(index, address)
	four := address.Addr().As4()
	body = attribute(body, unix.IFA_ADDRESS, four[:])
	if bits := address.Bits(); bits < 31 {
		_, last := lease.SubnetLimits(address)
		four := last.As4()
		body = attribute(body, unix.IFA_BROADCAST, four[:])
	}
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

// setRoute sends struct rtmsg and its attributes.
func (k *routeSocket) setRoute(index int, route lease.Route) error {
	const protocolDHCP = 16
	scope := byte(unix.RT_SCOPE_LINK)
	if route.Via.IsValid() {
		scope = unix.RT_SCOPE_UNIVERSE
	}
	body := []byte{
		unix.AF_INET, byte(route.To.Bits()), 0, 0, unix.RT_TABLE_MAIN, protocolDHCP, scope, unix.RTN_UNICAST, 0, 0, 0, 0,
	}
	if route.To.Bits() > 0 {
		four := route.To.Addr().As4()
		body = attribute(body, unix.RTA_DST, four[:])
	}
	if route.Via.IsValid() {
		four := route.Via.As4()
		body = attribute(body, unix.RTA_GATEWAY, four[:])
	}
	body = attribute(body, unix.RTA_OIF, binary.NativeEndian.AppendUint32(nil, uint32(index)))
	return k.request(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, body)
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
	k.sequence++
	message := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+len(body)))
	message = binary.NativeEndian.AppendUint16(message, kind)
	message = binary.NativeEndian.AppendUint16(message, flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	message = binary.NativeEndian.AppendUint32(message, k.sequence)
	message = append(binary.NativeEndian.AppendUint32(message, 0), body...)
	if err := unix.Sendto(k.fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	for {
		size, _, err := unix.Recvfrom(k.fd, answer, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if size < unix.NLMSG_HDRLEN+4 || binary.NativeEndian.Uint32(answer[8:]) != k.sequence {
			continue
		}
		if binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
			return errors.New("unexpected netlink message")
		}
		if code := -int32(binary.NativeEndian.Uint32(answer[unix.NLMSG_HDRLEN:])); code != 0 {
			return unix.Errno(code)
		}
		return nil
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
