package command

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"lkt/netlink"
)

// Link attributes that package syscall lacks.
const (
	iflaAlias    = 20
	iflaLinkInfo = 18
	infoKind     = 1
	infoData     = 2
	vethPeer     = 1
	vlanID       = 1
)

// change is the change of a link that a command requests.
type change struct {
	name string
	// Interface flags; mask has the bits that the command mentions.
	flags, mask uint32
	body        netlink.Body
}

func (t *Tool) addLink(w *words) error {
	var c change
	for {
		word, ok := w.next()
		if !ok {
			return errors.New(`"type" is missing`)
		}
		if word == "type" {
			break
		}
		if known, err := t.linkOption(&c, word, w); known || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		switch word {
		case "link":
			index, err := t.indexAfter("link", w)
			if err != nil {
				return err
			}
			c.body.AddUint32(syscall.IFLA_LINK, index)
		case "name":
			word, _ = w.next()
			fallthrough
		default:
			if err := c.setName(word); err != nil {
				return err
			}
		}
	}
	kind, err := w.value("type")
	if err != nil {
		return err
	}
	if c.name == "" {
		return errors.New("the name is missing")
	}
	return t.createLink(c, kind, w)
}

func (c *change) setName(name string) error {
	if c.name != "" {
		return fmt.Errorf("unexpected argument %q", name)
	}
	c.name = name
	return checkLinkName(name)
}

func (t *Tool) createLink(c change, kind string, w *words) error {
	data, err := kindData(kind, w)
	if err != nil {
		return err
	}
	body := infoMessage(0, c.flags, c.mask)
	body.AddText(syscall.IFLA_IFNAME, c.name)
	body = append(body, c.body...)
	body.Nest(iflaLinkInfo, func(b *netlink.Body) {
		b.AddText(infoKind, kind)
		if data != nil {
			b.Nest(infoData, func(b *netlink.Body) { *b = append(*b, data...) })
		}
	})
	err = t.kernel.Do(syscall.RTM_NEWLINK, netlink.Create|netlink.Excl, body)
	if errors.Is(err, syscall.EOPNOTSUPP) {
		return fmt.Errorf("the kernel does not support %s\n  fix: load its module with lkt/modprobe first", kind)
	}
	return err
}

func (t *Tool) setLink(w *words) error {
	var c change
	for {
		word, ok := w.next()
		if !ok {
			break
		}
		known, err := t.linkOption(&c, word, w)
		if err != nil {
			return err
		}
		if known {
			continue
		}
		switch word {
		case "master":
			index, err := t.indexAfter(word, w)
			if err != nil {
				return err
			}
			c.body.AddUint32(syscall.IFLA_MASTER, index)
		case "nomaster":
			c.body.AddUint32(syscall.IFLA_MASTER, 0)
		case "name":
			name, err := w.value(word)
			if err == nil {
				err = checkLinkName(name)
			}
			if err != nil {
				return err
			}
			c.body.AddText(syscall.IFLA_IFNAME, name)
		case "dev":
			word, _ = w.next()
			fallthrough
		default:
			if err := c.setName(word); err != nil {
				return err
			}
		}
	}
	index, err := t.index(c.name)
	if err != nil {
		return err
	}
	return t.kernel.Do(syscall.RTM_NEWLINK, 0, append(infoMessage(index, c.flags, c.mask), c.body...))
}

// linkOption parses an option that both "add" and "set" accept.
func (t *Tool) linkOption(c *change, word string, w *words) (known bool, err error) {
	flag := func(bit uint32, on bool) {
		c.mask |= bit
		if on {
			c.flags |= bit
		}
	}
	var n uint64
	var on bool
	var text string
	switch word {
	case "up", "down":
		flag(syscall.IFF_UP, word == "up")
	case "promisc":
		if on, err = w.onOff(word); err == nil {
			flag(syscall.IFF_PROMISC, on)
		}
	case "multicast":
		if on, err = w.onOff(word); err == nil {
			flag(syscall.IFF_MULTICAST, on)
		}
	case "arp":
		if on, err = w.onOff(word); err == nil {
			flag(syscall.IFF_NOARP, !on)
		}
	case "mtu":
		if n, err = w.number(word, 1<<16); err == nil {
			c.body.AddUint32(syscall.IFLA_MTU, uint32(n))
		}
	case "txqueuelen", "qlen":
		if n, err = w.number(word, 1<<20); err == nil {
			c.body.AddUint32(syscall.IFLA_TXQLEN, uint32(n))
		}
	case "address":
		var mac net.HardwareAddr
		if text, err = w.value(word); err == nil {
			mac, err = net.ParseMAC(text)
			c.body.Add(syscall.IFLA_ADDRESS, mac)
		}
	case "alias":
		if text, err = w.value(word); err == nil {
			c.body.AddText(iflaAlias, text)
		}
	default:
		return false, nil
	}
	return true, err
}

func (t *Tool) deleteLink(w *words) error {
	word, _ := w.next()
	if word == "dev" {
		word, _ = w.next()
	}
	index, err := t.index(word)
	if err != nil {
		return err
	}
	return t.kernel.Do(syscall.RTM_DELLINK, 0, infoMessage(index, 0, 0))
}
