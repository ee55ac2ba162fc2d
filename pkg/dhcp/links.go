package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

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
	text, err := read("ifindex")
	if err != nil {
		return l, err
	}
	if l.Index, err = strconv.Atoi(text); err != nil {
		return l, err
	}
	mac, err := read("address")
	if err != nil {
		return l, err
	}
	parts := strings.Split(mac, ":")
	if len(parts) != len(l.Hardware) {
		return l, fmt.Errorf("%s is not an Ethernet interface", name)
	}
	for i, part := range parts {
		b, err := strconv.ParseUint(part, 16, 8)
		if err != nil {
			return l, err
		}
		l.Hardware[i] = byte(b)
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

// bringUp sets the interfaces up and waits for carriers: until all have one, until 300 ms after the
// first, or for 5 seconds.
func bringUp(links []setup.Interface) error {
	const most, moment = 5 * time.Second, 300 * time.Millisecond
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
	end := time.Now().Add(most)
	for first := true; ; {
		running := 0
		for _, l := range links {
			if request, err := queryLink(l.Name, unix.SIOCGIFFLAGS); err == nil && request.Uint16()&unix.IFF_RUNNING != 0 {
				running++
			}
		}
		if running > 0 && first {
			first = false
			if soon := time.Now().Add(moment); soon.Before(end) {
				end = soon
			}
		}
		if running == len(links) || time.Now().After(end) {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
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
