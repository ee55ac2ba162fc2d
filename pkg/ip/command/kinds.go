package command

import (
	"errors"
	"fmt"
	"syscall"

	"lkt/netlink"
)

// kindData parses the type-specific options of a link, after its type.
func kindData(kind string, w *words) (data netlink.Body, err error) {
	switch kind {
	case "dummy", "bridge", "wireguard":
	case "vlan":
		if word, _ := w.next(); word != "id" {
			return nil, errors.New(`a vlan needs "id"`)
		}
		id, err := w.number("id", 4094)
		if err != nil {
			return nil, err
		}
		data.AddUint16(vlanID, uint16(id))
	case "veth":
		word, ok := w.next()
		if !ok {
			break
		}
		if word != "peer" {
			return nil, fmt.Errorf("unexpected argument %q", word)
		}
		word, _ = w.next()
		if word == "name" {
			word, _ = w.next()
		}
		if err := checkLinkName(word); err != nil {
			return nil, err
		}
		data.Nest(vethPeer, func(b *netlink.Body) {
			*b = append(*b, infoMessage(0, 0, 0)...)
			b.AddText(syscall.IFLA_IFNAME, word)
		})
	default:
		return nil, fmt.Errorf("unknown type %q\n  fix: use dummy, bridge, veth, vlan or wireguard", kind)
	}
	if word, ok := w.next(); ok {
		return nil, fmt.Errorf("unexpected argument %q", word)
	}
	return data, nil
}
