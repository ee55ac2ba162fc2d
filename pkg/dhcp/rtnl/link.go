package rtnl

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Link is the state of an interface.
type Link struct {
	Name     string
	Index    int
	Hardware [6]byte
	Ethernet bool // has an address of six bytes
	Up       bool // set up
	Carrier  bool // and connected
}

// ParseLink parses the data of RTM_NEWLINK or RTM_DELLINK.
func ParseLink(data []byte) (Link, bool) {
	if len(data) < unix.SizeofIfInfomsg {
		return Link{}, false
	}
	flags := binary.NativeEndian.Uint32(data[8:])
	l := Link{Index: int(int32(binary.NativeEndian.Uint32(data[4:]))), Up: flags&unix.IFF_UP != 0}
	l.Carrier = l.Up && flags&unix.IFF_RUNNING != 0
	for kind, value := range Attributes(data[unix.SizeofIfInfomsg:]) {
		switch {
		case kind == unix.IFLA_IFNAME:
			l.Name = string(bytes.TrimRight(value, "\x00"))
		case kind == unix.IFLA_ADDRESS && len(value) == 6:
			l.Hardware, l.Ethernet = [6]byte(value), true
		}
	}
	return l, l.Name != ""
}

// LinkByName returns the body of RTM_GETLINK for one interface.
func LinkByName(name string) []byte {
	return Attribute(make([]byte, unix.SizeofIfInfomsg), unix.IFLA_IFNAME, append([]byte(name), 0))
}

// Address is an IPv6 address of an interface.
type Address struct {
	Index     int
	Prefix    netip.Prefix
	Tentative bool // not yet unique
	Duplicate bool // another station has it
	Protocol  byte // who has added it
}

// ParseAddress parses the data of RTM_NEWADDR or RTM_DELADDR for IPv6.
func ParseAddress(data []byte) (Address, bool) {
	if len(data) < unix.SizeofIfAddrmsg || data[0] != unix.AF_INET6 {
		return Address{}, false
	}
	a := Address{Index: int(int32(binary.NativeEndian.Uint32(data[4:])))}
	flags := uint32(data[2])
	for kind, value := range Attributes(data[unix.SizeofIfAddrmsg:]) {
		switch {
		case kind == unix.IFA_ADDRESS && len(value) == 16:
			a.Prefix = netip.PrefixFrom(netip.AddrFrom16([16]byte(value)), int(data[1]))
		case kind == unix.IFA_FLAGS && len(value) == 4:
			flags = binary.NativeEndian.Uint32(value)
		case kind == AddressProtocol && len(value) == 1:
			a.Protocol = value[0]
		}
	}
	a.Tentative, a.Duplicate = flags&unix.IFA_F_TENTATIVE != 0, flags&unix.IFA_F_DADFAILED != 0
	return a, a.Prefix.IsValid()
}

// AddressProtocol is IFA_PROTO: who has added an address.
const AddressProtocol = 11
