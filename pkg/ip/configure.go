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

// What the packets of a tunnel lose of an Ethernet's 1500 bytes, when the tunnel itself is of IPv6.
const usualMTU = 1420

// configure makes an interface as a file for wg-quick(8) says, which has its name: the interface, if it is not there, its keys and peers,
// its addresses, and routes to what its peers may have. LinuxKit's examples call it so.
func configure(args []string) error {
	if len(args) != 2 || args[0] != "configure" {
		return errors.New("it is called in another way\n  fix: lk-wg-config configure /etc/wireguard/NAME.conf")
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
	// LinuxKit's init may have made it.
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
		mtu = usualMTU
	}
	if err := tool.Run([]string{"link", "set", "dev", name, "mtu", strconv.Itoa(int(mtu)), "up"}); err != nil {
		return err
	}
	if quick.Table != "off" {
		for _, p := range device.Peers {
			if err := addRoutes(tool, name, quick.Table, p.AllowedIPs, quick.Addresses); err != nil {
				return err
			}
		}
	}
	if len(quick.Names) > 0 {
		fmt.Printf("lk-wg-config: DNS of %s is not taken: name servers are those of /etc/resolv.conf\n", name)
	}
	fmt.Printf("lk-wg-config: %s has %s and %d peers\n", name, list(quick.Addresses), len(device.Peers))
	return nil
}

// addRoutes makes routes to where the kernel has none by the addresses of the interface.
func addRoutes(tool *command.Tool, name, table string, to, own []netip.Prefix) error {
	for _, prefix := range to {
		if (table == "" || table == "auto") && reached(prefix, own) {
			continue
		}
		args := []string{"route", "add", prefix.String(), "dev", name}
		if table != "" && table != "auto" {
			args = append(args, "table", table)
		}
		err := tool.Run(args)
		if errors.Is(err, syscall.EEXIST) {
			return fmt.Errorf("%w\n  fix: Table = off, or a network namespace of its own (net: new)", err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func reached(prefix netip.Prefix, own []netip.Prefix) bool {
	for _, o := range own {
		if o.Bits() <= prefix.Bits() && o.Contains(prefix.Addr()) {
			return true
		}
	}
	return false
}
