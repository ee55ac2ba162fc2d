package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"lkt/dhcp/packet"
)

// socket sends and receives DHCP on one interface, also while it has no address.
type socket struct {
	raw   int
	index int
}

func openSocket(index int) (*socket, error) {
	// No protocol yet: nothing arrives before the filter is in place.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	s := &socket{raw: fd, index: index}
	if err := s.prepare(); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	return s, nil
}

func (s *socket) prepare() error {
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.SetsockoptSockFprog(s.raw, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(s.raw, unix.SOL_SOCKET, unix.SO_LOCK_FILTER, 1); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(s.raw, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1); err != nil {
		return err
	}
	return unix.Bind(s.raw, &unix.SockaddrLinklayer{Protocol: bigEndian(unix.ETH_P_IP), Ifindex: s.index})
}

// filter lets through whole UDP packets to the client's port and nothing else. A packet socket without the link's header
// starts at the IP header.
var filter = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 9},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.IPPROTO_UDP, Jf: 6},
	{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 6},
	{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: 0x3fff, Jt: 4},
	{Code: unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH, K: 0},
	{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_IND, K: 2},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: packet.ClientPort, Jf: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
}

func (s *socket) close() { unix.Close(s.raw) }

// receive gives the next message, or nil when there is none within the time.
func (s *socket) receive(wait time.Duration) (*packet.Message, error) {
	ready := []unix.PollFd{{Fd: int32(s.raw), Events: unix.POLLIN}}
	n, err := unix.Poll(ready, int(min(wait, time.Hour)/time.Millisecond)+1)
	if errors.Is(err, unix.EINTR) || n == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("poll: %w", err)
	}
	data, control := make([]byte, 2048), make([]byte, 64)
	size, controlSize, _, _, err := unix.Recvmsg(s.raw, data, control, 0)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("receive: %w", err) // the interface is down or gone
	}
	payload, err := packet.Unwrap(data[:size], checksumComplete(control[:controlSize]))
	if err != nil {
		return nil, nil
	}
	m, err := packet.Parse(payload)
	if err != nil {
		return nil, nil
	}
	return m, nil
}

// send broadcasts on the link, whatever addresses the interface has.
func (s *socket) send(m *packet.Message, from, to netip.Addr) error {
	link := &unix.SockaddrLinklayer{Protocol: bigEndian(unix.ETH_P_IP), Ifindex: s.index, Halen: 6}
	copy(link.Addr[:], []byte{255, 255, 255, 255, 255, 255})
	if err := unix.Sendto(s.raw, packet.Wrap(from, to, m.Marshal()), 0, link); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// sendTo sends to a server by the kernel's own routes. The answer comes through receive.
func sendTo(m *packet.Message, from, to netip.Addr) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: packet.ClientPort, Addr: from.As4()}); err != nil {
		return fmt.Errorf("bind %v: %w", from, err)
	}
	if err := unix.Sendto(fd, m.Marshal(), 0, &unix.SockaddrInet4{Port: packet.ServerPort, Addr: to.As4()}); err != nil {
		return fmt.Errorf("send to %v: %w", to, err)
	}
	return nil
}

// checksumComplete reads struct tpacket_auxdata, whose first word is the status.
func checksumComplete(control []byte) bool {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return true
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_PACKET && m.Header.Type == unix.PACKET_AUXDATA && len(m.Data) >= 4 {
			return binary.NativeEndian.Uint32(m.Data)&unix.TP_STATUS_CSUMNOTREADY == 0
		}
	}
	return true
}

func bigEndian(n uint16) uint16 {
	return binary.NativeEndian.Uint16([]byte{byte(n >> 8), byte(n)})
}
