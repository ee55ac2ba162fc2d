package lease

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"
)

var errTruncated = errors.New("truncated lease")

// Append appends the encoded lease to b. The format is private to this program: big-endian numbers,
// and lists with a one-byte length.
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
	for _, servers := range [][]netip.Addr{l.NameServers, l.TimeServers} {
		b = append(b, byte(len(servers)))
		for _, server := range servers {
			b = appendAddress(b, server)
		}
	}
	b = append(b, byte(len(l.Search)))
	for _, text := range append([]string{l.Domain, l.HostName}, l.Search...) {
		b = append(append(b, byte(len(text))), text...)
	}
	return b
}

// Decode parses the output of Append. It returns only leases that pass Check.
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
		if r.truncated {
			break
		}
	}
	l.NameServers, l.TimeServers = r.addresses(), r.addresses()
	domains := int(r.take(1)[0])
	l.Domain, l.HostName = r.text(), r.text()
	for range domains {
		l.Search = append(l.Search, r.text())
		if r.truncated {
			break
		}
	}
	if r.truncated || len(r.rest) > 0 {
		return nil, errTruncated
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

func (r *reader) address() netip.Addr { return netip.AddrFrom4([4]byte(r.take(4))) }

func (r *reader) prefix() netip.Prefix { return netip.PrefixFrom(r.address(), int(r.take(1)[0])) }

func (r *reader) text() string { return string(r.take(int(r.take(1)[0]))) }

func (r *reader) addresses() (all []netip.Addr) {
	for range r.take(1)[0] {
		all = append(all, r.address())
		if r.truncated {
			break
		}
	}
	return all
}
