package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

type options struct {
	once   bool
	wait   time.Duration
	resolv string
	probes string
	names  []string
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
	flags.DurationVar(&o.wait, "wait", 30*time.Second, "with -1, timeout for a lease")
	flags.StringVar(&o.resolv, "resolv", "/run/resolvconf/resolv.conf", "file for the name servers; empty: do not write one")
	flags.StringVar(&o.probes, "probe", "fast",
		"address conflict detection: fast (half a second), rfc5227 (4 to 7 seconds) or off")
	flags.BoolVar(&background, "nobackground", true, "no effect: it never goes into the background (a dhcpcd flag)")
	flags.BoolVar(&background, "B", true, "same as -nobackground")
	flags.StringVar(&config, "f", "", "no effect (a dhcpcd flag); must be /dhcpcd.conf, which must not exist")
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
	o.names = flags.Args()
	return o, nil
}
