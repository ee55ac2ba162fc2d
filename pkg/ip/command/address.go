package command

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"syscall"

	"lkt/netlink"
)

// address is an address of an interface, as the kernel reports it.
type address struct {
	index  uint32
	prefix netip.Prefix
	peer   netip.Prefix
	scope  uint8
	valid  uint32
}

func (t *Tool) addresses() ([]address, error) {
	answers, err := t.kernel.List(syscall.RTM_GETADDR, netlink.Body{t.family, 0, 0, 0, 0, 0, 0, 0})
	if err != nil {
		return nil, err
	}
	var all []address
	for _, answer := range answers {
		a, err := parseAddress(answer)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

func parseAddress(m netlink.Message) (address, error) {
	if m.Kind != syscall.RTM_NEWADDR || len(m.Data) < syscall.SizeofIfAddrmsg {
		return address{}, netlink.ErrMalformed
	}
	a := address{scope: m.Data[3], index: binary.NativeEndian.Uint32(m.Data[4:]), valid: lifetimeForever}
	bits := int(m.Data[1])
	attributes, err := netlink.Parse(m.Data[syscall.SizeofIfAddrmsg:])
	for _, attribute := range attributes {
		ip, _ := netip.AddrFromSlice(attribute.Value)
		switch attribute.Kind {
		case syscall.IFA_LOCAL:
			a.prefix = netip.PrefixFrom(ip, bits)
		case syscall.IFA_ADDRESS:
			// The peer's address if IFA_LOCAL is present, otherwise the address itself.
			a.peer = netip.PrefixFrom(ip, bits)
		case syscall.IFA_CACHEINFO:
			if len(attribute.Value) >= 8 {
				a.valid = binary.NativeEndian.Uint32(attribute.Value[4:])
			}
		}
	}
	if !a.prefix.IsValid() {
		a.prefix = a.peer
	}
	return a, err
}

// flushAddresses removes all addresses of an interface.
func (t *Tool) flushAddresses(w *words) error {
	word, _ := w.next()
	if word == "dev" {
		word, _ = w.next()
	}
	index, err := t.index(word)
	if err != nil {
		return err
	}
	all, err := t.addresses()
	if err != nil {
		return err
	}
	for _, a := range all {
		if a.index != index {
			continue
		}
		body, _ := addressSpec{prefix: a.prefix, peer: a.peer}.body(index, false)
		// With the primary address of a network, the kernel also removes its secondary addresses.
		if err := t.kernel.Do(syscall.RTM_DELADDR, 0, body); err != nil && !errors.Is(err, syscall.EADDRNOTAVAIL) {
			return err
		}
	}
	return nil
}
