package lease

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"
)

var errShort = errors.New("the lease is cut")

// Append writes the lease behind b. The form is of this program only: numbers big-endian, lists behind their length in one byte.
func (l *Lease) Append(b []byte) []byte {
	b = appendAddress(b, l.Address.Addr())
	b = append(b, byte(l.Address.Bits()))
	b = appendAddress(b, l.Server)
	b = binary.BigEndian.AppendUint64(b, uint64(l.Time))
	b = binary.BigEndian.AppendUint16(b, uint16(l.MTU))
	b = append(b, byte(len(l.Routes)))
	for _, route := range l.Routes {
		b = appendAddress(b, route.To.Addr())
		b = append(b, byte(route.To.Bits()))
		b = appendAddress(b, route.Via)
	}
	b = append(b, byte(len(l.NameServers)))
	for _, server := range l.NameServers {
		b = appendAddress(b, server)
	}
	b = append(b, byte(len(l.Domain)))
	return append(b, l.Domain...)
}

// Decode reads what Append wrote, and takes nothing that Check refuses.
func Decode(b []byte) (*Lease, error) {
	r := reader{rest: b}
	l := &Lease{}
	l.Address = r.prefix()
	l.Server = r.address()
	l.Time = time.Duration(binary.BigEndian.Uint64(r.take(8)))
	l.MTU = int(binary.BigEndian.Uint16(r.take(2)))
	for range r.take(1)[0] {
		route := Route{To: r.prefix()}
		if via := r.address(); !via.IsUnspecified() {
			route.Via = via
		}
		l.Routes = append(l.Routes, route)
		if r.bad {
			break
		}
	}
	for range r.take(1)[0] {
		l.NameServers = append(l.NameServers, r.address())
		if r.bad {
			break
		}
	}
	l.Domain = string(r.take(int(r.take(1)[0])))
	if r.bad || len(r.rest) > 0 {
		return nil, errShort
	}
	if err := l.Check(); err != nil {
		return nil, err
	}
	return l, nil
}

func appendAddress(b []byte, a netip.Addr) []byte {
	if !a.Is4() {
		a = netip.IPv4Unspecified()
	}
	four := a.As4()
	return append(b, four[:]...)
}

// reader takes bytes from the front. Behind the end there are zeros, and bad is set.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) take(n int) []byte {
	if len(r.rest) < n {
		r.rest, r.bad = nil, true
		return make([]byte, n)
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) address() netip.Addr { return netip.AddrFrom4([4]byte(r.take(4))) }

func (r *reader) prefix() netip.Prefix { return netip.PrefixFrom(r.address(), int(r.take(1)[0])) }
