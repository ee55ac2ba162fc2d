package wire

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"lkt/dhcp/packet"
)

// Open returns the packet sockets of an interface, for DHCP and for ARP. It needs CAP_NET_RAW;
// their users do not.
func Open(index int) (sockets [2]int, err error) {
	if sockets[0], err = open(index, unix.ETH_P_IP, dhcpFilter); err != nil {
		return sockets, err
	}
	sockets[1], err = open(index, unix.ETH_P_ARP, arpFilter)
	return sockets, err
}

func open(index int, protocol uint16, filter []unix.SockFilter) (int, error) {
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
			return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: bigEndian(protocol), Ifindex: index})
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

func bigEndian(n uint16) uint16 {
	return binary.NativeEndian.Uint16([]byte{byte(n >> 8), byte(n)})
}
