// Command ntp sets the machine's clock by NTP servers (RFC 5905). It is only a client. It needs
// CAP_SYS_TIME alone. See docs/guest.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"lkt/ntp/packet"
)

const (
	// stepThreshold is the offset from which the clock is stepped at startup.
	stepThreshold = 100 * time.Millisecond
	// panicThreshold is the offset from which the clock is never slewed: that would take most of an
	// hour.
	panicThreshold = 2 * time.Second
	// maxPanics is the number of consecutive rounds over panicThreshold after which the program
	// exits.
	maxPanics   = 3
	minInterval = 64 * time.Second
	maxInterval = 1024 * time.Second
	// stableOffset is the offset below which the next round may be later.
	stableOffset = 10 * time.Millisecond
)

func main() {
	o, err := parseOptions(os.Args[1:], "/etc/ntpd.conf", os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
		defer stop()
		err = run(ctx, o)
		if ctx.Err() != nil {
			return
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "ntp: error: %v\n", err)
		os.Exit(1)
	}
}

// client is the state of the servers and the clock between rounds.
type client struct {
	servers []server
	step    func(time.Duration) error
	slew    func(offset, until time.Duration) error
	// refused are servers that want no more requests.
	refused  map[netip.AddrPort]bool
	reported map[string]string
	// set means that the clock has been correct once: it is never stepped again.
	set bool
	// slow means that a server has asked for fewer requests.
	slow     bool
	panics   int
	interval time.Duration
}

func run(ctx context.Context, o options) error {
	c := &client{
		servers: o.servers, step: step, slew: slew,
		refused: map[netip.AddrPort]bool{}, reported: map[string]string{}, interval: minInterval,
	}
	if !o.once {
		return c.run(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, o.wait)
	defer cancel()
	for {
		err := c.once(ctx, 1)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no agreement within %v: %w", o.wait, err)
		case <-time.After(retryDelay):
		}
	}
}

// run sets the clock and keeps it correct.
func (c *client) run(ctx context.Context) error {
	for failed := retryDelay; ; {
		err := c.once(ctx, exchanges)
		var tooFar *driftError
		if errors.As(err, &tooFar) {
			return err
		}
		interval := c.interval
		if c.slow {
			interval = maxInterval
		}
		if err != nil {
			c.report("round", err.Error())
			interval, failed = min(failed, c.interval), failed*2
		} else {
			failed = retryDelay
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(interval):
		}
	}
}

// driftError means that the clock is off by too much to be slewed.
type driftError struct{ offset time.Duration }

func (s *driftError) Error() string {
	return fmt.Sprintf("the clock is off by %v, too much to slew\n  fix: use restart: on-failure; at startup ntp steps the clock", s.offset)
}

// once runs a round and applies the agreed offset.
func (c *client) once(ctx context.Context, times int) error {
	servers, failures := lookUp(ctx, c.servers)
	for _, err := range failures {
		c.report(err.Error(), err.Error())
	}
	queried := servers[:0:0]
	for _, s := range servers {
		if !c.refused[s] {
			queried = append(queried, s)
		}
	}
	clocks, failed := round(ctx, queried, times)
	if ctx.Err() != nil && len(clocks) == 0 {
		return ctx.Err()
	}
	for _, s := range queried {
		c.note(s, failed[s])
	}
	// An unresolvable name counts as a server without an answer.
	return c.apply(clocks, max(len(servers), len(c.servers)))
}

// note reports a change in the status of a server.
func (c *client) note(s netip.AddrPort, err error) {
	text := "answers"
	if err != nil {
		text = err.Error()
	}
	// Without the local port, which differs each time.
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		text = op.Op + ": " + op.Err.Error()
	}
	if before, known := c.reported[s.String()]; known && before == text || !known && err == nil {
		return
	}
	c.report(s.String(), text)
	c.refused[s] = errors.Is(err, packet.ErrRefused)
	c.slow = c.slow || errors.Is(err, packet.ErrRate)
}

func (c *client) report(about, text string) {
	if c.reported[about] == text {
		return
	}
	c.reported[about] = text
	if about != text && about != "round" {
		text = about + " " + text
	}
	fmt.Printf("ntp: %s\n", text)
}
