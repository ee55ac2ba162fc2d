package main

import (
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"lkt/vmware/backdoor"
)

// Kinds of facts (GuestInfoType of open-vm-tools).
const (
	infoHostName   = 1
	infoSystemName = 5
	infoSystem     = 6
	infoUptime     = 7
	// infoOldNetwork has the network for hosts that do not know infoNetwork.
	infoOldNetwork = 9
	infoNetwork    = 10
)

// maxText is the size of the longest text that hosts keep.
const maxText = 99

// report sends the facts that the host lacks. Those that it refuses are sent again later.
func (a *agent) report() {
	a.send("loop", "vmx.capability.unified_loop "+channelName+"\x00")
	if name, err := os.Hostname(); err == nil {
		a.send("host name", fmt.Sprintf("SetGuestInfo  %d %s\x00", infoHostName, clip(name)))
	}
	name, id := system()
	a.send("system name", fmt.Sprintf("SetGuestInfo  %d %s\x00", infoSystemName, clip(name)))
	a.send("system", fmt.Sprintf("SetGuestInfo  %d %s\x00", infoSystem, id))
	links, err := networkLinks()
	if err != nil {
		return
	}
	encoded := string(encodeLinks(links))
	if a.send("network", fmt.Sprintf("SetGuestInfo  %d %s", infoNetwork, encoded)) != nil {
		_ = a.send("old network", fmt.Sprintf("SetGuestInfo  %d %s", infoOldNetwork, encoded))
	}
	if ip := primary(links); a.hasAddress && ip != nil {
		a.send("address", "info-set guestinfo.ip "+ip.String()+"\x00")
	}
}

// send sends a fact unless the host has it.
func (a *agent) send(name, request string) error {
	if a.sent[name] == request {
		return nil
	}
	_, err := backdoor.Ask(a.call, request)
	if err == nil {
		a.sent[name] = request
	}
	return err
}

func clip(text string) string { return text[:min(len(text), maxText)] }

// uptime returns the time since the start of the machine, in hundredths of a second.
func uptime() uint64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return uint64(t.Nano() / 1e7)
}

// system returns the name of the system, from /etc/os-release (os-release(5)), and VMware's word
// for its kernel.
func system() (name, id string) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "lkt", "otherlinux-64"
	}
	release := unix.ByteSliceToString(u.Release[:])
	major, _, _ := strings.Cut(release, ".")
	name, id = "lkt, Linux "+release, "other"+major+"xlinux-64"
	text, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return name, id
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); found {
			name = strings.Trim(value, `"'`)
		}
	}
	return name, id
}

// link is a network interface with a hardware address, and its addresses.
type link struct {
	hardware  string
	addresses []net.IPNet
}

const (
	// maxLinks and maxAddresses are the numbers that all hosts accept.
	maxLinks     = 16
	maxAddresses = 64
)

// containerPrefixes begin the names of network interfaces that Docker and libvirt create.
var containerPrefixes = []string{"docker", "veth", "virbr"}

// networkLinks returns the interfaces to report, as open-vm-tools chooses them.
func networkLinks() ([]link, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var links []link
	for _, one := range all {
		if len(links) == maxLinks || len(one.HardwareAddr) != 6 || one.Flags&net.FlagUp == 0 || isOfContainers(one.Name) {
			continue
		}
		addresses, err := one.Addrs()
		if err != nil {
			return nil, err
		}
		l := link{hardware: one.HardwareAddr.String()}
		for _, a := range addresses {
			if network, isNetwork := a.(*net.IPNet); isNetwork && len(l.addresses) < maxAddresses {
				l.addresses = append(l.addresses, *network)
			}
		}
		links = append(links, l)
	}
	return links, nil
}

func isOfContainers(name string) bool {
	for _, start := range containerPrefixes {
		if strings.HasPrefix(name, start) {
			return true
		}
	}
	return false
}

// primary returns the first address that other machines reach, preferring IPv4.
func primary(links []link) net.IP {
	var found net.IP
	for _, l := range links {
		for _, a := range l.addresses {
			if a.IP.To4() != nil && a.IP.IsGlobalUnicast() {
				return a.IP
			}
			if found == nil && a.IP.IsGlobalUnicast() {
				found = a.IP
			}
		}
	}
	return found
}
