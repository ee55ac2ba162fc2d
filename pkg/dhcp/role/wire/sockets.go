package wire

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"lkt/dhcp/packet"
	"lkt/dhcp/packet6"
)

// Open returns the packet sockets: for DHCP, ARP, and IPv6. They are for all interfaces, so that an
// interface may be replaced. Opening needs CAP_NET_RAW; their users do not.
func Open() (sockets [3]int, err error) {
	for at, one := range []struct {
		protocol uint16
		filter   []unix.SockFilter
	}{{unix.ETH_P_IP, dhcpFilter}, {unix.ETH_P_ARP, arpFilter}, {unix.ETH_P_IPV6, ipv6Filter}} {
		if sockets[at], err = open(one.protocol, one.filter); err != nil {
			return sockets, err
		}
	}
	return sockets, nil
}

func open(protocol uint16, filter []unix.SockFilter) (int, error) {
	// Protocol 0, so that no packet arrives before the filter is attached.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("packet socket: %w", err)
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	for _, step := range []func() error{
		func() error { return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program) },
		func() error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_LOCK_FILTER, 1) },
		func() error { return unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1) },
		func() error {
			return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: bigEndian(protocol)})
		},
	} {
		if err := step(); err != nil {
			unix.Close(fd)
			return -1, fmt.Errorf("packet socket: %w", err)
		}
	}
	return fd, nil
}

// dhcpFilter accepts unfragmented UDP packets to the client port only. A SOCK_DGRAM packet socket
// delivers packets from the IP header on.
var dhcpFilter = []unix.SockFilter{
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

// arpFilter accepts ARP packets for IPv4 on Ethernet, without their padding.
var arpFilter = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 1<<16 | packet.EtherIPv4, Jf: 3},
	{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 4},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 6<<8 | 4, Jf: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 28},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
}

// ipv6Filter accepts router advertisements of this link, and UDP packets to the DHCPv6 client's
// port, without extension headers.
var ipv6Filter = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 6},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.IPPROTO_UDP, Jt: 5},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.IPPROTO_ICMPV6, Jf: 7},
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 7},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 255, Jf: 5},
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 40},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 134, Jt: 2, Jf: 3},
	{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 42},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: packet6.ClientPort, Jf: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
}

func bigEndian(n uint16) uint16 {
	return binary.NativeEndian.Uint16([]byte{byte(n >> 8), byte(n)})
}
