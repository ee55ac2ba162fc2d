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
	// mostServers are asked at most: more would not make the time better.
	mostServers = 16
	// ofPool are taken of the addresses of a name for several servers.
	ofPool     = 4
	mostConfig = 1 << 16
)

// server is one that is named, or several that have a name in common.
type server struct {
	name    string // HOST:PORT
	several bool
}

type options struct {
	once    bool
	wait    time.Duration
	servers []server
}

// parseOptions reads arguments, and the file of OpenNTPD that a config made for LinuxKit binds if no server is among them.
func parseOptions(args []string, config string, out io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("ntp", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.BoolVar(&o.once, "1", false, "set the clock once, and end")
	flags.DurationVar(&o.wait, "wait", 20*time.Second, "with -1, how long to wait for servers")
	// What LinuxKit's image is started with: it stays in the foreground anyhow.
	flags.Bool("d", false, "do not go into the background, which it never does")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	for _, name := range flags.Args() {
		if o.servers, err = add(o.servers, name, false); err != nil {
			return o, err
		}
	}
	if len(o.servers) == 0 {
		if o.servers, err = readConfig(config); err != nil {
			return o, err
		}
	}
	switch {
	case len(o.servers) == 0:
		return o, errors.New("no server is named\n  fix: name some as arguments, or in " + config + " as \"server NAME\"; three can do without one that is wrong")
	case len(o.servers) > mostServers:
		return o, fmt.Errorf("%d servers are more than %d", len(o.servers), mostServers)
	}
	return o, nil
}

func add(all []server, name string, several bool) ([]server, error) {
	host, port := name, "123"
	if h, p, err := net.SplitHostPort(name); err == nil {
		host, port = h, p
	}
	if host == "" || strings.ContainsAny(host, " \t/[]") {
		return nil, fmt.Errorf("%q is no server", name)
	}
	return append(all, server{net.JoinHostPort(host, port), several}), nil
}

// readConfig reads the lines of ntpd.conf(5) that name servers. The others would need a clock or TLS, and are refused.
func readConfig(path string) (all []server, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, mostConfig))
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
			all, err = add(all, words[1], words[0] == "servers")
		default:
			err = fmt.Errorf("%q is not known here\n  fix: \"server NAME\" or \"servers NAME\"", strings.Join(words, " "))
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, number, err)
		}
	}
	return all, nil
}
