package command

import (
	"errors"
	"fmt"
	"syscall"

	"lkt/ip/netlink"
)

// dataOf is what a link of a kind has beside, from the words after its type.
func dataOf(kind string, w *words) (data netlink.Body, err error) {
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
		word, there := w.next()
		if !there {
			break
		}
		if word != "peer" {
			return nil, fmt.Errorf("%q is not known here", word)
		}
		word, _ = w.next()
		if word == "name" {
			word, _ = w.next()
		}
		if err := linkName(word); err != nil {
			return nil, err
		}
		data.Nest(vethPeer, func(b *netlink.Body) {
			*b = append(*b, infoMessage(0, 0, 0)...)
			b.AddText(syscall.IFLA_IFNAME, word)
		})
	default:
		return nil, fmt.Errorf("type %q is not known here\n  fix: one of dummy, bridge, veth, vlan, wireguard", kind)
	}
	if word, there := w.next(); there {
		return nil, fmt.Errorf("%q is not known here", word)
	}
	return data, nil
}
