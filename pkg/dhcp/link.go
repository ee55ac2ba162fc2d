package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lkt/dhcp/engine"
	"lkt/dhcp/packet"
)

const classNet = "/sys/class/net"

// link is a network interface and what is changed on it.
type link struct {
	name     string
	index    int
	hardware packet.HardwareAddr
}

// ethernetLinks are the interfaces a machine has for a cable.
func ethernetLinks() ([]string, error) {
	entries, err := os.ReadDir(classNet)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "eth") || strings.HasPrefix(e.Name(), "en") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func openLink(name string) (*link, error) {
	read := func(attribute string) (string, error) {
		data, err := os.ReadFile(filepath.Join(classNet, filepath.Base(name), attribute))
		return strings.TrimSpace(string(data)), err
	}
	l := &link{name: name}
	text, err := read("ifindex")
	if err != nil {
		return nil, err
	}
	if l.index, err = strconv.Atoi(text); err != nil {
		return nil, err
	}
	mac, err := read("address")
	if err != nil {
		return nil, err
	}
	parts := strings.Split(mac, ":")
	if len(parts) != len(l.hardware) {
		return nil, fmt.Errorf("%s is not an Ethernet interface", name)
	}
	for i, part := range parts {
		b, err := strconv.ParseUint(part, 16, 8)
		if err != nil {
			return nil, err
		}
		l.hardware[i] = byte(b)
	}
	return l, nil
}

// known is the address the interface has, if any.
func (l *link) known() netip.Addr {
	fd, request, err := l.ioctl(unix.SIOCGIFADDR)
	if err != nil {
		return netip.Addr{}
	}
	unix.Close(fd)
	four, err := request.Inet4Addr()
	if err != nil || len(four) != 4 {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte(four))
}

// up switches the interface on and waits until it has a carrier, or long enough.
func (l *link) up(wait time.Duration) error {
	fd, request, err := l.ioctl(unix.SIOCGIFFLAGS)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request.SetUint16(request.Uint16() | unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("switch on: %w", err)
	}
	for end := time.Now().Add(wait); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, request); err != nil {
			return err
		}
		if request.Uint16()&unix.IFF_RUNNING != 0 {
			return nil
		}
	}
	return nil
}

func (l *link) ioctl(command uint) (fd int, request *unix.Ifreq, err error) {
	request, err = unix.NewIfreq(l.name)
	if err != nil {
		return -1, nil, err
	}
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, nil, err
	}
	if err := unix.IoctlIfreq(fd, command, request); err != nil {
		unix.Close(fd)
		return -1, nil, err
	}
	return fd, request, nil
}

// apply sets what the lease brings. With a lifetime the kernel takes the address away by itself should this program not be
// there to do it.
func (l *link) apply(lease *engine.Lease, lifetime time.Duration) error {
	if lease.MTU != 0 {
		fd, request, err := l.ioctl(unix.SIOCGIFMTU)
		if err == nil {
			request.SetUint32(uint32(lease.MTU))
			err = unix.IoctlIfreq(fd, unix.SIOCSIFMTU, request)
			unix.Close(fd)
		}
		if err != nil {
			return fmt.Errorf("set MTU %d: %w", lease.MTU, err)
		}
	}
	kernel, err := openNetlink()
	if err != nil {
		return err
	}
	defer kernel.close()
	if err := kernel.setAddress(l.index, lease.Address, lifetime); err != nil {
		return fmt.Errorf("set address %v: %w", lease.Address, err)
	}
	for _, route := range lease.Routes {
		if err := kernel.setRoute(l.index, route); err != nil {
			return fmt.Errorf("set route to %v: %w", route.To, err)
		}
	}
	return nil
}

// remove takes the address away, and with it its routes.
func (l *link) remove(lease *engine.Lease) error {
	kernel, err := openNetlink()
	if err != nil {
		return err
	}
	defer kernel.close()
	err = kernel.removeAddress(l.index, lease.Address)
	if errors.Is(err, unix.EADDRNOTAVAIL) {
		return nil
	}
	return err
}

// netlink is a route socket.
type netlink struct {
	fd       int
	sequence uint32
}

func openNetlink() (*netlink, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("netlink: %w", err)
	}
	return &netlink{fd: fd}, nil
}

func (n *netlink) close() { unix.Close(n.fd) }

func (n *netlink) setAddress(index int, address netip.Prefix, lifetime time.Duration) error {
	body := addressBody(index, address)
	if lifetime != engine.Forever {
		seconds := uint32(max(lifetime/time.Second, 1))
		info := binary.NativeEndian.AppendUint32(nil, seconds) // preferred
		info = binary.NativeEndian.AppendUint32(info, seconds) // valid
		body = attribute(body, unix.IFA_CACHEINFO, append(info, make([]byte, 8)...))
	}
	return n.request(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, body)
}

func (n *netlink) removeAddress(index int, address netip.Prefix) error {
	return n.request(unix.RTM_DELADDR, 0, addressBody(index, address))
}

// addressBody is struct ifaddrmsg and the attributes of the address.
func addressBody(index int, address netip.Prefix) []byte {
	body := []byte{unix.AF_INET, byte(address.Bits()), 0, unix.RT_SCOPE_UNIVERSE}
	body = binary.NativeEndian.AppendUint32(body, uint32(index))
	four := address.Addr().As4()
	body = attribute(body, unix.IFA_LOCAL, four[:])
	body = attribute(body, unix.IFA_ADDRESS, four[:])
	if bits := address.Bits(); bits < 31 {
		last := binary.BigEndian.Uint32(four[:]) | (1<<(32-bits) - 1)
		body = attribute(body, unix.IFA_BROADCAST, binary.BigEndian.AppendUint32(nil, last))
	}
	return body
}

// setRoute sends struct rtmsg and its attributes.
func (n *netlink) setRoute(index int, route engine.Route) error {
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
	return n.request(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, body)
}

// request sends one message and waits for the kernel's answer to it.
func (n *netlink) request(kind, flags uint16, body []byte) error {
	n.sequence++
	message := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+len(body)))
	message = binary.NativeEndian.AppendUint16(message, kind)
	message = binary.NativeEndian.AppendUint16(message, flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	message = binary.NativeEndian.AppendUint32(message, n.sequence)
	message = append(binary.NativeEndian.AppendUint32(message, 0), body...)
	if err := unix.Sendto(n.fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	for {
		size, _, err := unix.Recvfrom(n.fd, answer, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if size < unix.NLMSG_HDRLEN+4 || binary.NativeEndian.Uint32(answer[8:]) != n.sequence {
			continue
		}
		if binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
			return errors.New("unexpected answer of the kernel")
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
