package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"lkt/ip/command"
)

const (
	// tunnelTable has the routes to the peers of all tunnels. Its rule precedes that of the main
	// table, so that routes there, for instance from DHCP, cannot take traffic of a tunnel
	// (CVE-2024-3661).
	tunnelTable    = "51820"
	tunnelPriority = "32000"
)

// The MTU of Ethernet less the overhead of a tunnel over IPv6.
const defaultMTU = 1420

// configure sets up an interface from a wg-quick(8) file, whose name is that of the interface. It
// creates the interface if it does not exist, sets its keys, peers and addresses, and adds routes
// to the peers' allowed IPs. LinuxKit's examples call it as lk-wg-config.
func configure(args []string) error {
	if len(args) != 2 || args[0] != "configure" {
		return errors.New("wrong arguments\n  fix: lk-wg-config configure /etc/wireguard/NAME.conf")
	}
	name := strings.TrimSuffix(filepath.Base(args[1]), ".conf")
	device, err := readConfig(args[1], true)
	if err != nil {
		return err
	}
	tool, err := command.New(os.Stdout)
	if err != nil {
		return err
	}
	quick := device.Quick
	err = tool.Run([]string{"link", "add", name, "type", "wireguard"})
	// LinuxKit's init may have created it.
	if err != nil && !errors.Is(err, syscall.EEXIST) {
		return err
	}
	if err := set(name, device, true); err != nil {
		return err
	}
	for _, address := range quick.Addresses {
		if err := tool.Run([]string{"address", "replace", address.String(), "dev", name}); err != nil {
			return err
		}
	}
	mtu := quick.MTU
	if mtu == 0 {
		mtu = defaultMTU
	}
	if err := tool.Run([]string{"link", "set", "dev", name, "mtu", strconv.Itoa(int(mtu)), "up"}); err != nil {
		return err
	}
	if quick.Table != "off" {
		for _, p := range device.Peers {
			if err := addRoutes(tool, name, quick.Table, p.AllowedIPs); err != nil {
				return err
			}
		}
	}
	if len(quick.Names) > 0 {
		fmt.Printf("lk-wg-config: DNS of %s is ignored: name servers come from /etc/resolv.conf\n", name)
	}
	fmt.Printf("lk-wg-config: %s has %s and %d peers\n", name, list(quick.Addresses), len(device.Peers))
	return nil
}

// addRoutes adds routes to the prefixes, to the tunnels' table unless another is given. A default
// route goes to the main table, as it must not carry the tunnel's own packets.
func addRoutes(tool *command.Tool, name, table string, to []netip.Prefix) error {
	for _, prefix := range to {
		args := []string{"route", "add", prefix.String(), "dev", name}
		switch {
		case table != "" && table != "auto":
			args = append(args, "table", table)
		case prefix.Bits() > 0:
			if err := addTunnelRule(tool, prefix); err != nil {
				return err
			}
			args = append(args, "table", tunnelTable)
		}
		err := tool.Run(args)
		if errors.Is(err, syscall.EEXIST) {
			return fmt.Errorf("%w\n  fix: Table = off, or a separate network namespace (net: new)", err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// addTunnelRule adds the rule for the tunnels' table unless it exists.
func addTunnelRule(tool *command.Tool, prefix netip.Prefix) error {
	everything := "0.0.0.0/0"
	if prefix.Addr().Is6() {
		everything = "::/0"
	}
	err := tool.Run([]string{"rule", "add", "from", everything, "lookup", tunnelTable, "priority", tunnelPriority})
	switch {
	case errors.Is(err, syscall.EEXIST):
		return nil
	case errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EOPNOTSUPP):
		return fmt.Errorf("%w\n  fix: a kernel with CONFIG_IPV6_MULTIPLE_TABLES, or Table = main, "+
			"where another route can take the tunnel's traffic", err)
	}
	return err
}
