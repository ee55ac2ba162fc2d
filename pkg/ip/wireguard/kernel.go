package wireguard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"lkt/netlink"
)

// Constants of linux/genetlink.h and linux/wireguard.h.
const (
	netlinkGeneric       = 16
	genlControl          = 16
	controlGet           = 3
	controlID            = 1
	controlName          = 2
	genlHeaderSize       = 4
	cmdGet, cmdSet       = 0, 1
	devIfName            = 2
	devPrivateKey        = 3
	devPublicKey         = 4
	devFlags             = 5
	devListenPort        = 6
	devMark              = 7
	devPeers             = 8
	replacePeers         = 1
	peerPublicKey        = 1
	peerPreshared        = 2
	peerFlags            = 3
	peerEndpoint         = 4
	peerKeepalive        = 5
	peerHandshake        = 6
	peerReceived         = 7
	peerTransmit         = 8
	peerAllowed          = 9
	peerRemove           = 1
	replaceAllowed       = 2
	allowedFamily        = 1
	allowedAddress       = 2
	allowedBits          = 3
	maxAllowedPerRequest = 512
	sockaddrInSize       = 16
	sockaddrIn6Size      = 28
)

// Kernel is a connection to the kernel's WireGuard.
type Kernel struct {
	conn   *netlink.Conn
	family uint16
}

// Open connects to the kernel. It fails if the kernel does not support WireGuard.
func Open() (*Kernel, error) {
	conn, err := netlink.Dial(netlinkGeneric)
	if err != nil {
		return nil, err
	}
	body := netlink.Body{controlGet, 1, 0, 0}
	body.AddText(controlName, "wireguard")
	answers, err := conn.Ask(genlControl, body)
	if errors.Is(err, syscall.ENOENT) {
		return nil, errors.New("the kernel does not support WireGuard\n  fix: load its module with lkt/modprobe first")
	}
	if err != nil {
		return nil, err
	}
	for _, answer := range answers {
		attributes, _ := afterHeader(answer.Data)
		for _, a := range attributes {
			if a.Kind == controlID {
				return &Kernel{conn, a.Uint16()}, nil
			}
		}
	}
	return nil, netlink.ErrMalformed
}

// afterHeader returns the attributes after a generic netlink header.
func afterHeader(data []byte) ([]netlink.Attribute, error) {
	if len(data) < genlHeaderSize {
		return nil, netlink.ErrMalformed
	}
	return netlink.Parse(data[genlHeaderSize:])
}

// Set applies the fields of d that are set to an interface. With replace, it removes all other
// peers.
func (k *Kernel) Set(name string, d *Device, replace bool, resolve func(string) (netip.AddrPort, error)) error {
	first := header(cmdSet, name)
	if d.PrivateKey != nil {
		first.Add(devPrivateKey, d.PrivateKey[:])
	}
	if d.ListenPort != nil {
		first.AddUint16(devListenPort, *d.ListenPort)
	}
	if d.Mark != nil {
		first.AddUint32(devMark, *d.Mark)
	}
	if replace {
		first.AddUint32(devFlags, replacePeers)
	}
	// Resolve all names before any change.
	var requests []netlink.Body
	for _, p := range d.Peers {
		more, err := p.requests(name, resolve)
		if err != nil {
			return err
		}
		requests = append(requests, more...)
	}
	for _, body := range append([]netlink.Body{first}, requests...) {
		if err := k.conn.Do(k.family, 0, body); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func header(command uint8, name string) netlink.Body {
	b := netlink.Body{command, 1, 0, 0}
	b.AddText(devIfName, name)
	return b
}

// requests returns the requests that configure a peer: one, or more if it has many allowed IPs.
func (p Peer) requests(name string, resolve func(string) (netip.AddrPort, error)) ([]netlink.Body, error) {
	var endpoint []byte
	if p.Endpoint != "" {
		to, err := resolve(p.Endpoint)
		if err != nil {
			return nil, err
		}
		endpoint = sockaddr(to)
	}
	var all []netlink.Body
	for left, first := p.AllowedIPs, true; first || len(left) > 0; first = false {
		now := left[:min(len(left), maxAllowedPerRequest)]
		left = left[len(now):]
		b := header(cmdSet, name)
		b.Nest(devPeers, func(b *netlink.Body) {
			b.Nest(0, func(b *netlink.Body) {
				b.Add(peerPublicKey, p.PublicKey[:])
				if first {
					p.addSettings(b, endpoint)
				}
				if len(now) > 0 {
					b.Nest(peerAllowed, func(b *netlink.Body) { addAllowed(b, now) })
				}
			})
		})
		all = append(all, b)
	}
	return all, nil
}

func (p Peer) addSettings(b *netlink.Body, endpoint []byte) {
	var flags uint32
	if p.Remove {
		flags |= peerRemove
	}
	if p.ReplaceAllowed {
		flags |= replaceAllowed
	}
	b.AddUint32(peerFlags, flags)
	if p.PresharedKey != nil {
		b.Add(peerPreshared, p.PresharedKey[:])
	}
	if endpoint != nil {
		b.Add(peerEndpoint, endpoint)
	}
	if p.Keepalive != nil {
		b.AddUint16(peerKeepalive, *p.Keepalive)
	}
}

func addAllowed(b *netlink.Body, prefixes []netip.Prefix) {
	for _, p := range prefixes {
		b.Nest(0, func(b *netlink.Body) {
			family := uint16(syscall.AF_INET)
			if p.Addr().Is6() {
				family = syscall.AF_INET6
			}
			b.AddUint16(allowedFamily, family)
			b.Add(allowedAddress, p.Addr().AsSlice())
			b.AddUint8(allowedBits, uint8(p.Bits()))
		})
	}
}

func sockaddr(to netip.AddrPort) []byte {
	a := to.Addr().Unmap()
	size, family := sockaddrInSize, uint16(syscall.AF_INET)
	if a.Is6() {
		size, family = sockaddrIn6Size, syscall.AF_INET6
	}
	b := make([]byte, size)
	binary.NativeEndian.PutUint16(b, family)
	binary.BigEndian.PutUint16(b[2:], to.Port())
	if a.Is6() {
		copy(b[8:], a.AsSlice())
	} else {
		copy(b[4:], a.AsSlice())
	}
	return b
}
