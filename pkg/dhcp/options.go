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
Without an interface: all whose name starts with eth or en.
`

// parseOptions reads the command line. It knows the words with which LinuxKit's examples start dhcpcd, so that a config need not change.
func parseOptions(args []string, out io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("dhcp", flag.ContinueOnError)
	flags.SetOutput(out)
	var config string
	var background bool
	flags.BoolVar(&o.once, "1", false, "end as soon as there is a lease; nobody renews it")
	flags.BoolVar(&o.once, "oneshot", false, "the same as -1")
	flags.DurationVar(&o.wait, "wait", 30*time.Second, "with -1, how long to wait for a lease")
	flags.StringVar(&o.resolv, "resolv", "/run/resolvconf/resolv.conf", "file for the name servers, empty for none")
	flags.StringVar(&o.probes, "probe", "fast",
		"how to look for others with a new address: fast (half a second), rfc5227 (4 to 7 seconds) or off")
	flags.BoolVar(&background, "nobackground", true, "it never goes into the background; a word of dhcpcd")
	flags.BoolVar(&background, "B", true, "the same as -nobackground")
	flags.StringVar(&config, "f", "", "a word of dhcpcd; only /dhcpcd.conf, and only as long as no such file is there")
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
		return o, fmt.Errorf("-probe %s: it is fast, rfc5227 or off", o.probes)
	}
	if _, err := os.Stat(config); config != "" && (config != "/dhcpcd.conf" || err == nil) {
		return o, fmt.Errorf("-f %s: there is no configuration file; flags say what there is to say", config)
	}
	o.names = flags.Args()
	return o, nil
}
