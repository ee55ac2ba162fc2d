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

	"lkt/epoch"
	"lkt/sandbox"
)

//go:embed roles.json
var rolesFile []byte

// setup is what a process needs to know.
type setup struct {
	Once    bool
	Query   bool
	Wait    time.Duration
	MaxStep time.Duration
	// Floor is the earliest time. WasSet means that the clock has been set since the boot.
	Floor   time.Time
	WasSet  bool
	// Stepped is the sum of the steps since then. Steps is the descriptor of their list, or 0.
	Stepped time.Duration
	Steps   int
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
	var s setup
	roles, role, err := sandbox.Load("ntp", rolesFile, &s)
	if err != nil {
		return err
	}
	if role == nil {
		return launch(roles)
	}
	if role.Name == "ntp-asker" {
		return runAsker(*role, s)
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
	return newSetter(s).serve(s.Setter, s.Once)
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
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	// PID 1 has reported an invalid parameter.
	floor, _ := epoch.Floor(string(cmdline))
	s := setup{
		Once: o.once, Query: o.query, Wait: o.wait, MaxStep: o.maxStep, Floor: floor, WasSet: isDisciplined(),
		Servers: o.servers, Setter: setter,
	}
	if err := roles["asker"].Start(s, int(asker)); err != nil {
		return err
	}
	role := roles["setter"]
	kept := []int{int(setter)}
	if o.query {
		role.Capabilities = nil
	} else {
		steps, sum, err := openSteps(stepsPath)
		if err != nil {
			return err
		}
		if steps != nil {
			s.Steps, s.Stepped = int(steps.Fd()), sum
			kept = append(kept, s.Steps)
		}
	}
	return role.Exec(s, kept...)
}

// runAsker ends without error when the setter ends.
func runAsker(role sandbox.Role, s setup) error {
	c := newClient(s.Servers, connection(askerEnd))
	if len(c.secured) > 0 {
		roots, err := authorities()
		if err != nil {
			return err
		}
		c.keys.Roots = roots
	}
	if err := role.Enter(); err != nil {
		return err
	}
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
