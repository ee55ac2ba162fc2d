package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"lkt/dhcp/packet"
)

type options struct {
	once                               bool
	wait                               time.Duration
	resolv                             string
	probes                             string
	names                              []string
	ipv6, ipv6Mostly, privacy, release bool
	state, hostName, timeServers       string
}

// dhcpOptions returns the codes of DHCP options that are only asked for if someone uses them.
func (o options) dhcpOptions() []byte {
	var codes []byte
	if o.hostName != "" {
		codes = append(codes, packet.OptionHostName)
	}
	if o.timeServers != "" {
		codes = append(codes, packet.OptionTimeServers)
	}
	if o.ipv6Mostly {
		codes = append(codes, packet.OptionIPv6Only)
	}
	return codes
}

const usage = `usage: dhcp [flags] [interface...]
Without an interface: all interfaces named eth* or en*.
`

// parseOptions parses the command line. It accepts the dhcpcd flags of LinuxKit's examples, so that
// their configs work unchanged.
func parseOptions(args []string, out io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("dhcp", flag.ContinueOnError)
	flags.SetOutput(out)
	var config string
	var background bool
	flags.BoolVar(&o.once, "1", false, "exit once there is a lease, without renewing it")
	flags.BoolVar(&o.once, "oneshot", false, "same as -1")
	flags.DurationVar(&o.wait, "wait", 30*time.Second, "with -1, `timeout` for a lease")
	flags.StringVar(&o.resolv, "resolv", "/run/resolvconf/resolv.conf", "`file` for the name servers; empty: do not write one")
	flags.StringVar(&o.probes, "probe", "fast",
		"`speed` of address conflict detection: fast (half a second), rfc5227 (4 to 7 seconds) or off")
	flags.BoolVar(&o.ipv6, "ipv6", true, "also configure IPv6, by router advertisements and DHCPv6")
	flags.BoolVar(&o.privacy, "privacy", false, "let the kernel make temporary IPv6 addresses too, if its sysctl use_tempaddr asks for them")
	flags.BoolVar(&o.ipv6Mostly, "ipv6-mostly", false, "do without IPv4 where the network offers that (RFC 8925)")
	flags.BoolVar(&o.release, "release", false, "give leases back on SIGTERM, and remove their addresses")
	flags.StringVar(&o.state, "state", "", "`directory` for addresses and a secret, so that the next boot has the same addresses")
	flags.StringVar(&o.hostName, "hostname", "", "`file` for the host name from the network")
	flags.StringVar(&o.timeServers, "ntp", "", "`file` for the time servers from the network, as lkt/ntp reads it")
	flags.BoolVar(&background, "nobackground", true, "no effect: it never goes into the background (a dhcpcd flag)")
	flags.BoolVar(&background, "B", true, "same as -nobackground")
	flags.StringVar(&config, "f", "", "no effect (a dhcpcd flag); the `file` must be /dhcpcd.conf, which must not exist")
	flags.Usage = func() {
		fmt.Fprint(out, usage)
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch o.probes {
	case "fast", "rfc5227", "off":
	default:
		return o, fmt.Errorf("-probe %s: must be fast, rfc5227 or off", o.probes)
	}
	if _, err := os.Stat(config); config != "" && (config != "/dhcpcd.conf" || err == nil) {
		return o, fmt.Errorf("-f %s: configuration files are not supported; use flags", config)
	}
	if o.ipv6Mostly && !o.ipv6 {
		return o, errors.New("-ipv6-mostly needs -ipv6")
	}
	o.names = flags.Args()
	return o, nil
}
