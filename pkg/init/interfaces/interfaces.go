// Package interfaces gives network interfaces to a container, between its creation and its start.
// PID 1 and containerd's launcher use it, so it imports only the standard library and lkt/netlink.
package interfaces

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"lkt/netlink"
)

// Interface is an entry of "interfaces" in runtime.json.
type Interface struct {
	// Name is the interface's name in the container, and before that on the machine.
	Name string `json:"name"`
	// Add is the kind of a new interface, or empty for one that exists on the machine.
	Add string `json:"add"`
	// Peer is the other end of a veth pair, which stays on the machine.
	Peer string `json:"peer"`
	// CreateInRoot creates the interface on the machine and then moves it: a WireGuard interface
	// sends its packets from where it was created.
	CreateInRoot bool `json:"createInRoot"`
}

// Attributes of links that package syscall lacks.
const (
	iflaLinkInfo = 18
	iflaNetNsPid = 19
	infoKind     = 1
	infoData     = 2
	vethPeer     = 1
)

// reuseTimeout is how long to wait until the kernel has removed the namespace of the container's
// earlier run. It may still have the interface or its name.
var reuseTimeout = 5 * time.Second

// Attach creates the interfaces, or finds them on the machine, and moves them into the network
// namespace of a process. It deletes a new one that cannot be moved.
func Attach(all []Interface, pid int) error {
	if len(all) == 0 {
		return nil
	}
	for _, one := range all {
		if err := one.check(); err != nil {
			return err
		}
	}
	kernel, err := netlink.Dial(syscall.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer kernel.Close()
	for _, one := range all {
		if err := one.attach(kernel, pid); err != nil {
			return fmt.Errorf("network interface %s: %w", one.Name, err)
		}
	}
	return nil
}

// kind returns the kind of the interface to create, or "".
func (i Interface) kind() string {
	if i.Add == "" && i.Peer != "" {
		return "veth"
	}
	return i.Add
}

func (i Interface) check() error {
	if err := checkName(i.Name); err != nil {
		return err
	}
	switch kind := i.kind(); {
	case kind == "veth" && i.Peer == "":
		return fmt.Errorf("network interface %s: a veth needs a peer", i.Name)
	case kind == "veth":
		return checkName(i.Peer)
	case i.Peer != "":
		return fmt.Errorf("network interface %s: a %s has no peer", i.Name, kind)
	case strings.ContainsRune(kind, 0):
		return fmt.Errorf("network interface %s: invalid kind %q", i.Name, kind)
	}
	return nil
}

// checkName returns an error for a name that the kernel does not accept.
func checkName(name string) error {
	if name == "" || len(name) > 15 || name == "." || name == ".." || strings.ContainsAny(name, "/:%\x00 \t\n\v\f\r") {
		return fmt.Errorf("invalid name %q of a network interface", name)
	}
	return nil
}

func (i Interface) attach(kernel *netlink.Conn, pid int) error {
	kind := i.kind()
	switch {
	case kind == "":
		return i.moveExisting(kernel, pid)
	case kind != "veth" && !i.CreateInRoot:
		return i.create(kernel, kind, pid)
	}
	if err := i.create(kernel, kind, 0); err != nil {
		return err
	}
	index, err := indexOf(kernel, i.Name)
	if err != nil {
		return err
	}
	if err := move(kernel, index, pid); err != nil {
		_ = kernel.Do(syscall.RTM_DELLINK, 0, linkMessage(index))
		return err
	}
	return nil
}

// create creates an interface in the namespace of a process, or on the machine if pid is 0.
func (i Interface) create(kernel *netlink.Conn, kind string, pid int) error {
	body := linkMessage(0)
	body.AddText(syscall.IFLA_IFNAME, i.Name)
	if pid != 0 {
		body.AddUint32(iflaNetNsPid, uint32(pid))
	}
	body.Nest(iflaLinkInfo, func(b *netlink.Body) {
		b.AddText(infoKind, kind)
		if i.Peer == "" {
			return
		}
		b.Nest(infoData, func(b *netlink.Body) {
			b.Nest(vethPeer, func(b *netlink.Body) {
				*b = append(*b, linkMessage(0)...)
				b.AddText(syscall.IFLA_IFNAME, i.Peer)
			})
		})
	})
	err := retry(syscall.EEXIST, func() error {
		return kernel.Do(syscall.RTM_NEWLINK, netlink.Create|netlink.Excl, body)
	})
	if errors.Is(err, syscall.EOPNOTSUPP) {
		return fmt.Errorf("the kernel has no kind %q, or its module is not loaded: %w", kind, err)
	}
	return err
}

func (i Interface) moveExisting(kernel *netlink.Conn, pid int) error {
	return retry(syscall.ENODEV, func() error {
		index, err := indexOf(kernel, i.Name)
		if err != nil {
			return err
		}
		return move(kernel, index, pid)
	})
}

// retry repeats a call that fails with an error for which time may be the remedy.
func retry(transient syscall.Errno, call func() error) error {
	for end := time.Now().Add(reuseTimeout); ; time.Sleep(20 * time.Millisecond) {
		if err := call(); !errors.Is(err, transient) || time.Now().After(end) {
			return err
		}
	}
}

// move moves an interface into the namespace of a process.
func move(kernel *netlink.Conn, index uint32, pid int) error {
	body := linkMessage(index)
	body.AddUint32(iflaNetNsPid, uint32(pid))
	return kernel.Do(syscall.RTM_NEWLINK, 0, body)
}

// indexOf returns the index of an interface of the machine.
func indexOf(kernel *netlink.Conn, name string) (uint32, error) {
	body := linkMessage(0)
	body.AddText(syscall.IFLA_IFNAME, name)
	answers, err := kernel.Ask(syscall.RTM_GETLINK, body)
	if err != nil {
		return 0, err
	}
	for _, answer := range answers {
		if answer.Kind == syscall.RTM_NEWLINK && len(answer.Data) >= syscall.SizeofIfInfomsg {
			return binary.NativeEndian.Uint32(answer.Data[4:]), nil
		}
	}
	return 0, netlink.ErrMalformed
}

// linkMessage returns struct ifinfomsg of rtnetlink(7) for an interface.
func linkMessage(index uint32) netlink.Body {
	b := make(netlink.Body, syscall.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b[4:], index)
	return b
}
