// Command ntp sets the clock of the machine by servers: a client of NTP (RFC 5905) that answers nobody. It needs CAP_SYS_TIME alone. See
// docs/guest.md.
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
	// stepFrom is what a clock is off by to be set at once, when the program begins.
	stepFrom = 100 * time.Millisecond
	// stray is what is never slewed: at the kernel's rate it would take the better part of an hour.
	stray = 2 * time.Second
	// straysMost are rounds that find the clock off by that, before the program gives up.
	straysMost = 3
	firstPause = 64 * time.Second
	mostPause  = 1024 * time.Second
	// settled is an offset after which the next round can be later.
	settled = 10 * time.Millisecond
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

// client is what is known of the servers and of the clock between rounds.
type client struct {
	servers []server
	step    func(time.Duration) error
	slew    func(offset, until time.Duration) error
	// refused are servers that want no more requests.
	refused map[netip.AddrPort]bool
	said    map[string]string
	// set says that the clock has been right once: it is never set at once again.
	set bool
	// slow says that a server has asked for fewer requests.
	slow   bool
	strays int
	pause  time.Duration
}

func run(ctx context.Context, o options) error {
	c := &client{
		servers: o.servers, step: step, slew: slew,
		refused: map[netip.AddrPort]bool{}, said: map[string]string{}, pause: firstPause,
	}
	if !o.once {
		return c.keep(ctx)
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
			return fmt.Errorf("not within %v: %w", o.wait, err)
		case <-time.After(between):
		}
	}
}

// keep sets the clock and keeps it right.
func (c *client) keep(ctx context.Context) error {
	for failed := between; ; {
		err := c.once(ctx, exchanges)
		var gone *strayed
		if errors.As(err, &gone) {
			return err
		}
		pause := c.pause
		if c.slow {
			pause = mostPause
		}
		if err != nil {
			c.say("round", err.Error())
			pause, failed = min(failed, c.pause), failed*2
		} else {
			failed = between
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// strayed is a clock that is off by too much to be slewed.
type strayed struct{ offset time.Duration }

func (s *strayed) Error() string {
	return fmt.Sprintf("the clock is off by %v, which is not slewed\n  fix: restart: on-failure starts this anew, which sets it at once", s.offset)
}

// once makes a round and applies what the servers agree on.
func (c *client) once(ctx context.Context, times int) error {
	servers, failures := lookUp(ctx, c.servers)
	for _, err := range failures {
		c.say(err.Error(), err.Error())
	}
	asked := servers[:0:0]
	for _, s := range servers {
		if !c.refused[s] {
			asked = append(asked, s)
		}
	}
	clocks, failed := round(ctx, asked, times)
	if ctx.Err() != nil && len(clocks) == 0 {
		return ctx.Err()
	}
	for _, s := range asked {
		c.note(s, failed[s])
	}
	// A name that is not found is a server that does not answer.
	return c.apply(clocks, max(len(servers), len(c.servers)))
}

// note says what has become of a server, if it is another thing than before.
func (c *client) note(s netip.AddrPort, err error) {
	text := "answers"
	if err != nil {
		text = err.Error()
	}
	// Without the port of this machine, which is always another.
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		text = op.Op + ": " + op.Err.Error()
	}
	if before, known := c.said[s.String()]; known && before == text || !known && err == nil {
		return
	}
	c.say(s.String(), text)
	c.refused[s] = errors.Is(err, packet.ErrRefused)
	c.slow = c.slow || errors.Is(err, packet.ErrRate)
}

func (c *client) say(about, text string) {
	if c.said[about] == text {
		return
	}
	c.said[about] = text
	if about != text && about != "round" {
		text = about + " " + text
	}
	fmt.Printf("ntp: %s\n", text)
}
