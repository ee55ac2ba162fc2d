// Command ntp sets the machine's clock by NTP servers (RFC 5905). It is only a client. It runs as
// two processes: asker talks to the servers, setter has CAP_SYS_TIME. See docs/guest.md.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"lkt/sandbox"
)

//go:embed roles.json
var rolesFile []byte

// setup is what a process needs to know.
type setup struct {
	Once    bool
	Wait    time.Duration
	Servers []server
	// Setter is the setter's end of the connection.
	Setter sandbox.Conn
}

// askerEnd is the asker's end of the connection.
const askerEnd sandbox.Conn = 3

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "ntp: error: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	roles, err := sandbox.Parse("ntp", rolesFile)
	if err != nil {
		return err
	}
	var s setup
	name, inside, err := sandbox.Inside("ntp", &s)
	if err != nil {
		return err
	}
	if !inside {
		return launch(roles)
	}
	role, err := roles.Lookup(name)
	if err != nil {
		return err
	}
	if name == "asker" {
		return runAsker(role, s)
	}
	// The process that others signal. The clock stays as it is.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		os.Exit(0)
	}()
	if err := role.Enter(); err != nil {
		return err
	}
	return newSetter().serve(s.Setter, s.Once)
}

// launch starts the asker and becomes the setter.
func launch(roles sandbox.Roles) error {
	o, err := parseOptions(os.Args[1:], "/etc/ntpd.conf", os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	asker, setter, err := sandbox.NewPair()
	if err != nil {
		return err
	}
	s := setup{Once: o.once, Wait: o.wait, Servers: o.servers, Setter: setter}
	if err := roles["asker"].Start(s, int(asker)); err != nil {
		return err
	}
	return roles["setter"].Exec(s, int(setter))
}

// runAsker ends without error when the setter ends.
func runAsker(role sandbox.Role, s setup) error {
	if err := role.Enter(); err != nil {
		return err
	}
	c := newClient(s.Servers, connection(askerEnd))
	ctx, cancel := context.WithCancel(context.Background())
	if s.Once {
		ctx, cancel = context.WithTimeout(context.Background(), s.Wait)
	}
	defer cancel()
	err := c.run(ctx, s.Once)
	if errors.Is(err, sandbox.ErrClosed) {
		return nil
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no agreement within %v", s.Wait)
	}
	return err
}
