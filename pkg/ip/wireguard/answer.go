package wireguard

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"lkt/netlink"
)

// Get returns the state of an interface.
func (k *Kernel) Get(name string) (*Device, error) {
	answers, err := k.conn.List(k.family, header(cmdGet, name))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	d := &Device{}
	for _, answer := range answers {
		if err := d.read(answer.Data); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// read adds the content of a message. A peer with many addresses spans several messages.
func (d *Device) read(data []byte) error {
	attributes, err := afterHeader(data)
	if err != nil {
		return err
	}
	for _, a := range attributes {
		switch a.Kind {
		case devPublicKey:
			if len(a.Value) == len(d.PublicKey) {
				d.PublicKey = Key(a.Value)
			}
		case devListenPort:
			port := a.Uint16()
			d.ListenPort = &port
		case devMark:
			mark := a.Uint32()
			d.Mark = &mark
		case devPeers:
			peers, err := netlink.Parse(a.Value)
			if err != nil {
				return err
			}
			for _, one := range peers {
				p, err := readPeer(one.Value)
				if err != nil {
					return err
				}
				if n := len(d.Peers); n > 0 && d.Peers[n-1].PublicKey == p.PublicKey {
					d.Peers[n-1].AllowedIPs = append(d.Peers[n-1].AllowedIPs, p.AllowedIPs...)
					continue
				}
				d.Peers = append(d.Peers, p)
			}
		}
	}
	return nil
}

func readPeer(data []byte) (p Peer, err error) {
	attributes, err := netlink.Parse(data)
	for _, a := range attributes {
		switch a.Kind {
		case peerPublicKey:
			if len(a.Value) == len(p.PublicKey) {
				p.PublicKey = Key(a.Value)
			}
		case peerEndpoint:
			p.Endpoint = readSockaddr(a.Value)
		case peerKeepalive:
			seconds := a.Uint16()
			p.Keepalive = &seconds
		case peerHandshake:
			if len(a.Value) == 16 {
				if seconds := int64(binary.NativeEndian.Uint64(a.Value)); seconds != 0 {
					p.LastHandshake = time.Unix(seconds, int64(binary.NativeEndian.Uint64(a.Value[8:])))
				}
			}
		case peerReceived:
			p.Received = a.Uint64()
		case peerTransmit:
			p.Transmit = a.Uint64()
		case peerAllowed:
			list, err := netlink.Parse(a.Value)
			if err != nil {
				return p, err
			}
			for _, one := range list {
				if prefix, ok := readAllowed(one.Value); ok {
					p.AllowedIPs = append(p.AllowedIPs, prefix)
				}
			}
		}
	}
	return p, err
}

func readAllowed(data []byte) (netip.Prefix, bool) {
	attributes, err := netlink.Parse(data)
	var address netip.Addr
	bits := -1
	for _, a := range attributes {
		switch {
		case a.Kind == allowedAddress:
			address, _ = netip.AddrFromSlice(a.Value)
		case a.Kind == allowedBits && len(a.Value) == 1:
			bits = int(a.Value[0])
		}
	}
	p := netip.PrefixFrom(address, bits)
	return p, err == nil && p.IsValid()
}

func readSockaddr(data []byte) string {
	var a netip.Addr
	switch len(data) {
	case sockaddrInSize:
		a = netip.AddrFrom4([4]byte(data[4:]))
	case sockaddrIn6Size:
		a = netip.AddrFrom16([16]byte(data[8:]))
	default:
		return ""
	}
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(data[2:])).String()
}
