package main

import (
	"context"
	"crypto/x509"
	"errors"
	"maps"
	"net"
	"net/netip"
	"time"

	"lkt/ntp/message"
	"lkt/ntp/nts"
	"lkt/ntp/packet"
	"lkt/sandbox"
)

const (
	minInterval = 64 * time.Second
	maxInterval = 1024 * time.Second
	// refusal is how long a server is not asked after it has refused to answer. If a server asked
	// for fewer requests, all are asked rarely for as long. Anyone on the path can forge both, so
	// they must not last.
	refusal = time.Hour
)

// client asks the servers.
type client struct {
	servers []server
	// secured are the servers with NTS. keys exchanges keys with them.
	secured []*secured
	keys    *nts.Client
	// agreed means that the clock has been right once.
	agreed bool
	// settle sets the clock by the answers of a round.
	settle func(message.Round) (message.Answer, error)
	// refused are servers that want no more requests, with the time until which they get none.
	refused map[netip.AddrPort]time.Time
	log     *reports
	// slow is until when there are few requests, because a server has asked for that.
	slow time.Time
}

func newClient(servers []server, settle func(message.Round) (message.Answer, error)) *client {
	c := &client{servers: servers, settle: settle, refused: map[netip.AddrPort]time.Time{}, log: newReports()}
	c.keys = &nts.Client{IsTimeKnown: func() bool { return c.agreed }}
	for _, s := range servers {
		if host, _, err := net.SplitHostPort(s.Name); err == nil && s.IsSecure {
			c.secured = append(c.secured, &secured{host: host})
		}
	}
	return c
}

// connection returns a settle function that asks the other process.
func connection(c sandbox.Conn) func(message.Round) (message.Answer, error) {
	buffer := make([]byte, sandbox.MaxMessage)
	return func(r message.Round) (message.Answer, error) {
		if err := c.Send(r.Encode()); err != nil {
			return message.Answer{}, err
		}
		raw, err := c.Receive(buffer)
		if err != nil {
			return message.Answer{}, err
		}
		return message.DecodeAnswer(raw)
	}
}

// run asks until ctx or the other process ends. In a hurry it asks each server once per round, and
// again soon.
func (c *client) run(ctx context.Context, hurry bool) error {
	for failures := 0; ; {
		times := exchanges
		if hurry {
			times = 1
		}
		answer, err := c.once(ctx, times)
		if err != nil {
			return err
		}
		if answer.Agreed {
			c.agreed = true
			failures = 0
		} else {
			failures++
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(c.pause(answer, failures, hurry)):
		}
	}
}

// pause returns the time until the next round: longer after each failure in a row.
func (c *client) pause(a message.Answer, failures int, hurry bool) time.Duration {
	interval := max(minInterval, min(a.Interval, maxInterval))
	if time.Now().Before(c.slow) {
		interval = maxInterval
	}
	switch {
	case hurry:
		return retryDelay
	case failures > 0:
		const mostDoublings = 9 // to about maxInterval
		return min(retryDelay<<min(failures-1, mostDoublings), interval)
	}
	return interval
}

// once runs a round.
func (c *client) once(ctx context.Context, times int) (message.Answer, error) {
	servers, failures := lookUp(ctx, c.servers)
	secure, more := c.secure(ctx)
	servers = append(servers, secure...)
	maps.Copy(failures, more)
	for name, err := range failures {
		c.log.report(name, reason(err))
	}
	now := time.Now()
	queried := servers[:0:0]
	for _, s := range servers {
		if c.refused[s.address].Before(now) {
			queried = append(queried, s)
		}
	}
	clocks, failed := round(ctx, queried, times)
	if ctx.Err() != nil && len(clocks) == 0 {
		return message.Answer{}, ctx.Err()
	}
	for _, s := range queried {
		c.note(s, failed[s.address])
	}
	// An unresolvable name counts as a server without an answer.
	return c.settle(message.Round{Clocks: clocks, Servers: max(len(servers), len(c.servers))})
}

// note reports a change in the status of a server.
func (c *client) note(s station, err error) {
	name := s.address.String()
	delete(c.refused, s.address)
	if errors.Is(err, packet.ErrRefused) {
		c.refused[s.address] = time.Now().Add(refusal)
	}
	if errors.Is(err, packet.ErrRate) {
		c.slow = time.Now().Add(refusal)
	}
	if errors.Is(err, nts.ErrNak) {
		s.keys.Session.End()
	}
	if err != nil {
		c.log.report(name, reason(err))
	} else if c.log.has(name) {
		c.log.report(name, "answers")
	}
}

// reason returns the text of an error without what differs each time, such as local ports.
func reason(err error) string {
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		return op.Op + ": " + op.Err.Error()
	}
	if invalid := (x509.CertificateInvalidError{}); errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		return "the certificate has expired or is not yet valid"
	}
	if dns := (*net.DNSError)(nil); errors.As(err, &dns) {
		switch {
		case dns.IsNotFound:
			return "no such host"
		case dns.IsTimeout:
			return "no answer from the name server"
		}
		return "name server failure"
	}
	return err.Error()
}
