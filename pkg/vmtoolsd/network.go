package main

import (
	"encoding/binary"
	"os"
)

// Values of open-vm-tools' nicinfo.x.
const (
	networkVersion   = 3
	familyIPv4       = 1
	familyIPv6       = 2
	statusPreferred  = 1
	statusUnknown    = 5
	maxHostNameBytes = 255
)

// xdr encodes values (RFC 4506).
type xdr []byte

func (x *xdr) number(values ...uint32) {
	for _, v := range values {
		*x = binary.BigEndian.AppendUint32(*x, v)
	}
}

// bytes adds a length, the bytes, and zeros up to a multiple of four.
func (x *xdr) bytes(b []byte) {
	x.number(uint32(len(b)))
	*x = append(*x, b...)
	*x = append(*x, make([]byte, -len(b)&3)...)
}

// encodeLinks returns the description of the network that hosts expect: a GuestNicProto with a
// NicInfoV3. It has no routes, name servers or settings of DHCP, which are optional.
func encodeLinks(links []link) []byte {
	var x xdr
	x.number(networkVersion, 1, uint32(len(links)))
	for _, l := range links {
		x.bytes([]byte(l.hardware))
		x.number(uint32(len(l.addresses)))
		for _, a := range l.addresses {
			status := uint32(statusUnknown)
			if v4 := a.IP.To4(); v4 != nil {
				x.number(familyIPv4)
				x.bytes(v4)
				status = statusPreferred
			} else {
				x.number(familyIPv6)
				x.bytes(a.IP)
			}
			size, _ := a.Mask.Size()
			// The origin is unknown.
			x.number(uint32(size), 0, 1, status)
		}
		// DNS, WINS, DHCP for IPv4 and IPv6
		x.number(0, 0, 0, 0)
	}
	const routes = 0
	x.number(routes)
	if name, err := os.Hostname(); err == nil && len(name) <= maxHostNameBytes {
		x.number(1, 1)
		x.bytes([]byte(name))
		// domain, servers, suffixes
		x.number(0, 0, 0)
	} else {
		x.number(0)
	}
	// WINS, DHCP for IPv4 and IPv6
	x.number(0, 0, 0)
	return x
}
