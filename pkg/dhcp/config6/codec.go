package config6

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"lkt/dhcp/lease"
)

var errTruncated = errors.New("truncated configuration")

// Append appends the encoded configuration to b. The format is private to this program: big-endian
// numbers, and lists with a one-byte length.
func (c *Config) Append(b []byte) []byte {
	b = append(b, byte(len(c.Addresses)))
	for _, a := range c.Addresses {
		b = appendPrefix(b, a.Address)
		b = binary.BigEndian.AppendUint64(b, uint64(a.Preferred))
		b = binary.BigEndian.AppendUint64(b, uint64(a.Valid))
		autonomous := byte(0)
		if a.Autonomous {
			autonomous = 1
		}
		b = append(b, autonomous)
	}
	b = append(b, byte(len(c.Routes)))
	for _, r := range c.Routes {
		b = appendAddress(appendPrefix(b, r.To), r.Via)
	}
	b = append(b, byte(len(c.Servers)))
	for _, s := range c.Servers {
		b = appendAddress(b, s)
	}
	b = append(b, byte(len(c.Domains)))
	for _, name := range c.Domains {
		b = append(append(b, byte(len(name))), name...)
	}
	return binary.BigEndian.AppendUint16(b, uint16(c.MTU))
}

// Decode parses the output of Append. It returns only configurations that pass Check.
func Decode(b []byte) (*Config, error) {
	r := reader{rest: b}
	c := &Config{}
	for range r.count() {
		a := Address{Address: r.prefix()}
		a.Preferred = time.Duration(binary.BigEndian.Uint64(r.take(8)))
		a.Valid = time.Duration(binary.BigEndian.Uint64(r.take(8)))
		switch r.take(1)[0] {
		case 0:
		case 1:
			a.Autonomous = true
		default:
			return nil, errTruncated
		}
		c.Addresses = append(c.Addresses, a)
	}
	for range r.count() {
		route := lease.Route{To: r.prefix()}
		if via := r.address(); !via.IsUnspecified() {
			route.Via = via
		}
		c.Routes = append(c.Routes, route)
	}
	for range r.count() {
		c.Servers = append(c.Servers, r.address())
	}
	for range r.count() {
		c.Domains = append(c.Domains, string(r.take(int(r.take(1)[0]))))
	}
	c.MTU = int(binary.BigEndian.Uint16(r.take(2)))
	if r.truncated || len(r.rest) > 0 {
		return nil, errTruncated
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	return c, nil
}

func appendPrefix(b []byte, p netip.Prefix) []byte {
	return append(appendAddress(b, p.Addr()), byte(p.Bits()))
}

func appendAddress(b []byte, a netip.Addr) []byte {
	if !a.Is6() {
		a = netip.IPv6Unspecified()
	}
	sixteen := a.As16()
	return append(b, sixteen[:]...)
}

// reader takes bytes from the front of a slice. After its end it returns zeros and sets truncated.
type reader struct {
	rest      []byte
	truncated bool
}

func (r *reader) take(n int) []byte {
	if len(r.rest) < n {
		r.rest, r.truncated = nil, true
		return make([]byte, n)
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

// count returns the length of a list, which limits what a reader adds.
func (r *reader) count() int { return min(int(r.take(1)[0]), MaxAddresses+1) }

func (r *reader) address() netip.Addr { return netip.AddrFrom16([16]byte(r.take(16))) }

func (r *reader) prefix() netip.Prefix { return netip.PrefixFrom(r.address(), int(r.take(1)[0])) }
