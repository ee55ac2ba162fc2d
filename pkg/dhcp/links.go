package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"lkt/dhcp/setup"
)

const classNet = "/sys/class/net"

// ethernetLinks returns the names of the Ethernet interfaces.
func ethernetLinks() ([]string, error) {
	entries, err := os.ReadDir(classNet)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "eth") || strings.HasPrefix(e.Name(), "en") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func findLink(name string) (setup.Interface, error) {
	l := setup.Interface{Name: name}
	read := func(attribute string) (string, error) {
		data, err := os.ReadFile(filepath.Join(classNet, filepath.Base(name), attribute))
		return strings.TrimSpace(string(data)), err
	}
	mac, err := read("address")
	if err != nil {
		return l, err
	}
	if strings.Count(mac, ":") != 5 {
		return l, fmt.Errorf("%s is not an Ethernet interface", name)
	}
	l.Previous = previousAddress(name)
	return l, nil
}

// previousAddress returns the current address of the interface, or an invalid address.
func previousAddress(name string) netip.Addr {
	request, err := queryLink(name, unix.SIOCGIFADDR)
	if err != nil {
		return netip.Addr{}
	}
	four, err := request.Inet4Addr()
	if err != nil || len(four) != 4 {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte(four))
}

// bringUp sets the interfaces up.
func bringUp(links []setup.Interface) error {
	for _, l := range links {
		request, err := queryLink(l.Name, unix.SIOCGIFFLAGS)
		if err == nil {
			request.SetUint16(request.Uint16() | unix.IFF_UP)
			err = controlLink(unix.SIOCSIFFLAGS, request)
		}
		if err != nil {
			return fmt.Errorf("%s: bring up: %w", l.Name, err)
		}
	}
	return nil
}

func queryLink(name string, command uint) (*unix.Ifreq, error) {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return nil, err
	}
	return request, controlLink(command, request)
}

func controlLink(command uint, request *unix.Ifreq) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.IoctlIfreq(fd, command, request)
}
