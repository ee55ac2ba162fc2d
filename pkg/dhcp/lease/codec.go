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
	b = append(b, byte(len(l.NameServers)))
	for _, server := range l.NameServers {
		b = appendAddress(b, server)
	}
	b = append(b, byte(len(l.Domain)))
	return append(b, l.Domain...)
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
	for range r.take(1)[0] {
		l.NameServers = append(l.NameServers, r.address())
		if r.truncated {
			break
		}
	}
	l.Domain = string(r.take(int(r.take(1)[0])))
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
