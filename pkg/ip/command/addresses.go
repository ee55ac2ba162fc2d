package command

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"syscall"

	"lkt/netlink"
)

const (
	ifaFlags        = 8
	flagNoDad       = 0x02
	flagNoPrefix    = 0x200
	lifetimeForever = 1<<32 - 1
)

var scopes = map[string]uint8{"global": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255}

// family returns the kernel's number of the address family.
func family(a netip.Addr) uint8 {
	if a.Is4() {
		return syscall.AF_INET
	}
	return syscall.AF_INET6
}

// addressSpec is an address in a command.
type addressSpec struct {
	prefix           netip.Prefix
	peer             netip.Prefix
	device           string
	label            string
	broadcast        string
	scope            *uint8
	flags            uint32
	valid, preferred uint32
}

func (t *Tool) changeAddress(kind, flags uint16) func(*words) error {
	return func(w *words) error {
		a, err := readAddress(w)
		if err != nil {
			return err
		}
		index, err := t.index(a.device)
		if err != nil {
			return err
		}
		body, err := a.body(index, kind == syscall.RTM_NEWADDR)
		if err != nil {
			return err
		}
		return t.kernel.Do(kind, flags, body)
	}
}

func readAddress(w *words) (a addressSpec, err error) {
	a.valid, a.preferred = lifetimeForever, lifetimeForever
	for {
		word, ok := w.next()
		if !ok {
			break
		}
		var text string
		switch word {
		case "dev":
			a.device, err = w.value(word)
		case "label":
			a.label, err = w.value(word)
		case "broadcast", "brd":
			a.broadcast, err = w.value(word)
		case "scope":
			if text, err = w.value(word); err == nil {
				a.scope, err = readScope(text)
			}
		case "peer":
			if text, err = w.value(word); err == nil {
				a.peer, err = parsePrefix(text)
			}
		case "nodad":
			a.flags |= flagNoDad
		case "noprefixroute":
			a.flags |= flagNoPrefix
		case "valid_lft":
			a.valid, err = lifetime(word, w)
		case "preferred_lft":
			a.preferred, err = lifetime(word, w)
		case "local":
			word, _ = w.next()
			fallthrough
		default:
			if a.prefix.IsValid() {
				return a, fmt.Errorf("unexpected argument %q", word)
			}
			a.prefix, err = parsePrefix(word)
		}
		if err != nil {
			return a, err
		}
	}
	switch {
	case !a.prefix.IsValid():
		return a, errors.New("address is missing")
	case a.device == "":
		return a, errors.New(`"dev" is missing`)
	case a.peer.IsValid() && a.peer.Addr().Is4() != a.prefix.Addr().Is4():
		return a, errors.New("the peer has another address family")
	case a.preferred > a.valid:
		return a, errors.New("preferred_lft is longer than valid_lft")
	}
	return a, nil
}

// body returns the request. A request to delete an address has no other options.
func (a addressSpec) body(index uint32, add bool) (netlink.Body, error) {
	local := a.prefix.Addr()
	remote, bits := local, a.prefix.Bits()
	if a.peer.IsValid() {
		remote, bits = a.peer.Addr(), a.peer.Bits()
	}
	scope := scopes["global"]
	if local.IsLoopback() && local.Is4() {
		scope = scopes["host"]
	}
	if a.scope != nil {
		scope = *a.scope
	}
	b := netlink.Body{family(local), uint8(bits), 0, scope, 0, 0, 0, 0}
	binary.NativeEndian.PutUint32(b[4:], index)
	b.Add(syscall.IFA_LOCAL, local.AsSlice())
	b.Add(syscall.IFA_ADDRESS, remote.AsSlice())
	if a.label != "" {
		b.AddText(syscall.IFA_LABEL, a.label)
	}
	if !add {
		return b, nil
	}
	if a.broadcast != "" {
		brd, err := broadcast(a.broadcast, a.prefix)
		if err != nil {
			return nil, err
		}
		b.Add(syscall.IFA_BROADCAST, brd.AsSlice())
	}
	if a.flags != 0 {
		b.AddUint32(ifaFlags, a.flags)
	}
	if a.valid != lifetimeForever || a.preferred != lifetimeForever {
		info := binary.NativeEndian.AppendUint32(nil, a.preferred)
		info = binary.NativeEndian.AppendUint32(info, a.valid)
		b.Add(syscall.IFA_CACHEINFO, append(info, make([]byte, 8)...))
	}
	return b, nil
}

// broadcast parses a broadcast address: an address, "+" for all host bits set, or "-" for none set.
func broadcast(text string, p netip.Prefix) (netip.Addr, error) {
	if !p.Addr().Is4() {
		return netip.Addr{}, errors.New("IPv6 has no broadcast addresses")
	}
	if text != "+" && text != "-" {
		a, err := netip.ParseAddr(text)
		if err != nil || !a.Is4() {
			return a, fmt.Errorf("invalid IPv4 broadcast address %q", text)
		}
		return a, nil
	}
	four := p.Masked().Addr().As4()
	n := binary.BigEndian.Uint32(four[:])
	if text == "+" {
		n |= uint32(uint64(1)<<(32-p.Bits()) - 1)
	}
	binary.BigEndian.PutUint32(four[:], n)
	return netip.AddrFrom4(four), nil
}

func readScope(text string) (*uint8, error) {
	if s, found := scopes[text]; found {
		return &s, nil
	}
	n, err := strconv.ParseUint(text, 10, 8)
	if err != nil {
		return nil, fmt.Errorf("unknown scope %q", text)
	}
	s := uint8(n)
	return &s, nil
}

func lifetime(of string, w *words) (uint32, error) {
	if len(w.rest) > 0 && w.rest[0] == "forever" {
		w.rest = w.rest[1:]
		return lifetimeForever, nil
	}
	n, err := w.number(of, lifetimeForever)
	return uint32(n), err
}
