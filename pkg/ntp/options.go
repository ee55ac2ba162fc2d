package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"
)

const (
	// maxServers limits the servers; more would not improve the time.
	maxServers = 16
	// poolServers limits the addresses taken from a pool's name.
	poolServers   = 4
	maxConfigSize = 1 << 16
)

// server is a server, or a pool of servers with one name.
type server struct {
	Name   string // HOST:PORT
	IsPool bool
	// IsSecure requires answers authenticated by NTS.
	IsSecure bool
}

type options struct {
	once    bool
	query   bool
	wait    time.Duration
	maxStep time.Duration
	servers []server
}

// parseOptions parses the arguments. If they name no server, it reads OpenNTPD's config file, which
// configs written for LinuxKit bind.
func parseOptions(args []string, config string, out io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("ntp", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.BoolVar(&o.once, "1", false, "set the clock once and exit")
	flags.BoolVar(&o.query, "q", false, "print the offset of the clock and exit, without setting it")
	secure := flags.Bool("nts", false, "require NTS of all servers")
	flags.DurationVar(&o.maxStep, "max-step", defaultMaxStep, "largest `sum` of steps after the clock has been set once since the boot")
	flags.DurationVar(&o.wait, "wait", 20*time.Second, "with -1 or -q, `timeout` for the servers")
	flags.StringVar(&config, "f", config, "config `file`, if no argument names a server")
	// LinuxKit's image is started with -d. This program always stays in the foreground.
	flags.Bool("d", false, "no effect: it never goes into the background")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	for _, name := range flags.Args() {
		if o.servers, err = add(o.servers, name, false, false); err != nil {
			return o, err
		}
	}
	if len(o.servers) == 0 {
		if o.servers, err = readConfig(config); err != nil {
			return o, err
		}
	}
	o.once = o.once || o.query
	for i := range o.servers {
		s := &o.servers[i]
		if s.IsSecure = s.IsSecure || *secure; s.IsSecure && (s.IsPool || !strings.HasSuffix(s.Name, ":123")) {
			return o, fmt.Errorf("%s: NTS is for single servers, without a port", s.Name)
		}
	}
	switch {
	case o.maxStep < 0:
		return o, errors.New("-max-step is negative")
	case len(o.servers) == 0:
		return o, errors.New("no server\n  fix: name servers as arguments, or in " + config + " as \"server NAME\"; with three, one may be wrong")
	case len(o.servers) > maxServers:
		return o, fmt.Errorf("%d servers exceed the limit of %d", len(o.servers), maxServers)
	}
	return o, nil
}

func add(all []server, name string, isPool, isSecure bool) ([]server, error) {
	host, port := name, "123"
	if h, p, err := net.SplitHostPort(name); err == nil {
		host, port = h, p
	}
	if host == "" || strings.ContainsAny(host, " \t/[]") {
		return nil, fmt.Errorf("invalid server %q", name)
	}
	return append(all, server{net.JoinHostPort(host, port), isPool, isSecure}), nil
}

// readConfig reads the server lines of ntpd.conf(5). It rejects other settings, which need a
// hardware clock or HTTPS.
func readConfig(path string) (all []server, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxConfigSize))
	if err != nil {
		return nil, err
	}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		switch {
		case len(words) == 2 && (words[0] == "server" || words[0] == "servers"):
			all, err = add(all, words[1], words[0] == "servers", false)
		case len(words) == 3 && words[0] == "server" && words[2] == "nts":
			all, err = add(all, words[1], false, true)
		default:
			err = fmt.Errorf("unsupported setting %q\n  fix: use \"server NAME\", \"server NAME nts\" or \"servers NAME\"", strings.Join(words, " "))
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, number, err)
		}
	}
	return all, nil
}
