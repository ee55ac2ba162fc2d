// Command dhcp gets IPv4 addresses for the machine's Ethernet interfaces and keeps them.
package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"lkt/dhcp/engine"
)

type options struct {
	once   bool
	wait   time.Duration
	resolv string
}

func main() {
	var o options
	flag.BoolVar(&o.once, "1", false, "end as soon as there is a lease; nobody renews it")
	flag.DurationVar(&o.wait, "wait", 30*time.Second, "with -1, how long to wait for a lease")
	flag.StringVar(&o.resolv, "resolv", "/run/resolvconf/resolv.conf", "file for the name servers, empty for none")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: dhcp [flags] [interface...]\nWithout an interface: all whose name starts with eth or en.")
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer cancel()
	if err := run(ctx, o, flag.Args()); err != nil {
		fmt.Fprintf(os.Stderr, "dhcp: %v\n", err)
		os.Exit(1)
	}
}

// run works on every interface at once. Once only, one lease is enough: a second cable may lead nowhere.
func run(ctx context.Context, o options, names []string) error {
	if len(names) == 0 {
		found, err := ethernetLinks()
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return errors.New("no Ethernet interface")
		}
		names = found
	}
	if o.once {
		limited, cancel := context.WithTimeout(ctx, o.wait)
		defer cancel()
		ctx = limited
	}
	// Those that have their lease wait this much longer for the others.
	const grace = 2 * time.Second
	results := make(chan error, len(names))
	for _, name := range names {
		go func() {
			err := serve(ctx, o, name)
			if err != nil {
				err = fmt.Errorf("%s: %w", name, err)
			}
			results <- err
		}()
	}
	var failure error
	var late <-chan time.Time
	for range names {
		select {
		case err := <-results:
			if err != nil {
				fmt.Fprintf(os.Stderr, "dhcp: %v\n", err)
				failure = err
			} else if late == nil {
				late = time.After(grace)
			}
		case <-late:
			return nil
		}
	}
	if late != nil {
		return nil
	}
	return failure
}

// serve is one interface. It returns nil with the first lease (once only) or when ctx ends.
func serve(ctx context.Context, o options, name string) error {
	l, err := openLink(name)
	if err != nil {
		return err
	}
	if err := l.up(5 * time.Second); err != nil {
		return err
	}
	s, err := openSocket(l.index)
	if err != nil {
		return err
	}
	defer s.close()
	host, _ := os.Hostname()
	e, actions := engine.New(engine.Config{Hardware: l.hardware, HostName: host, Known: l.known(), Random: random}, uptime())
	c := client{options: o, link: l, socket: s}
	for {
		done, err := c.do(actions)
		if done || err != nil {
			return err
		}
		if ctx.Err() != nil {
			return c.end(ctx)
		}
		// Short enough to notice the end of ctx.
		m, err := s.receive(min(e.Deadline()-uptime(), 250*time.Millisecond))
		if err != nil {
			fmt.Fprintf(os.Stderr, "dhcp: %s: %v\n", name, err)
			time.Sleep(time.Second)
		}
		actions = nil
		if m != nil {
			actions = e.Receive(m, uptime())
		}
		actions = append(actions, e.Tick(uptime())...)
	}
}

// client does what the engine decides.
type client struct {
	options
	link   *link
	socket *socket
	lease  *engine.Lease
}

func (c *client) do(actions []engine.Action) (done bool, err error) {
	for _, action := range actions {
		switch a := action.(type) {
		case engine.Send:
			// The engine sends again; a cable that is out now may be in by then.
			if err := c.send(a); err != nil {
				fmt.Fprintf(os.Stderr, "dhcp: %s: %v\n", c.link.name, err)
			}
		case engine.Bound:
			if err := c.bound(a); err != nil {
				return false, err
			}
			if c.once {
				return true, nil
			}
		case engine.Lost:
			fmt.Fprintf(os.Stderr, "dhcp: %s: %s, %v is given back\n", c.link.name, a.Reason, c.lease.Address)
			if err := c.link.remove(c.lease); err != nil {
				return false, err
			}
			c.lease = nil
		}
	}
	return false, nil
}

func (c *client) send(s engine.Send) error {
	if s.To == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return c.socket.send(s.Message, s.From, s.To)
	}
	return sendTo(s.Message, s.From, s.To)
}

func (c *client) bound(b engine.Bound) error {
	lifetime := b.Lease.Time
	if c.once {
		lifetime = engine.Forever // nobody will renew it
	}
	if err := c.link.apply(b.Lease, lifetime); err != nil {
		return err
	}
	if c.resolv != "" && len(b.Lease.NameServers) > 0 {
		if err := writeResolv(c.resolv, b.Lease); err != nil {
			return err
		}
	}
	if !b.Renewed {
		fmt.Printf("dhcp: %s has %v from %v for %v\n", c.link.name, b.Lease.Address, b.Lease.Server, leaseTime(b.Lease))
	}
	c.lease = b.Lease
	return nil
}

// end is reached by the end of ctx: the time is over, or the machine goes down. The address stays either way.
func (c *client) end(ctx context.Context) error {
	if c.once && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no server answered within %v", c.wait)
	}
	return nil
}

func leaseTime(l *engine.Lease) string {
	if l.Time == engine.Forever {
		return "ever"
	}
	return l.Time.String()
}

func random() uint32 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // does not fail (crypto/rand)
	return binary.NativeEndian.Uint32(b[:])
}

// uptime is a clock that nobody sets and that runs on while the machine is suspended, as leases do.
func uptime() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		panic(err)
	}
	return time.Duration(now.Nano())
}
