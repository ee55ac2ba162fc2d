package main

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"lkt/ntp/nts"
)

const (
	keyTimeout = 5 * time.Second
	// A server gets no second key exchange before firstRetry, which doubles with each failure:
	// RFC 8915 section 4.2.
	firstRetry = 10 * time.Second
	lastRetry  = time.Hour
)

// secured is a server with NTS.
type secured struct {
	host    string
	keys    *nts.Agreement
	address netip.AddrPort
	// failure is the error of the last key exchange, and no other happens until retry.
	failure  error
	failures int
	retry    time.Time
}

// secure returns the servers with NTS, with keys, and the errors of those without. It exchanges
// keys with a server that has no cookie left.
func (c *client) secure(ctx context.Context) (all []station, failures map[string]error) {
	var done sync.WaitGroup
	for _, s := range c.secured {
		if s.keys == nil || s.keys.Session.IsSpent() {
			done.Add(1)
			go func() {
				defer done.Done()
				s.exchange(ctx, c.keys)
			}()
		}
	}
	done.Wait()
	failures = map[string]error{}
	seen := map[netip.AddrPort]bool{}
	for _, s := range c.secured {
		switch {
		case s.failure != nil:
			failures[s.host] = s.failure
		case !seen[s.address]:
			seen[s.address] = true
			all = append(all, station{s.address, s.keys})
		}
	}
	return all, failures
}

// exchange exchanges keys, unless that failed a short time ago.
func (s *secured) exchange(ctx context.Context, client *nts.Client) {
	if time.Now().Before(s.retry) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, keyTimeout)
	defer cancel()
	s.keys = nil
	agreement, err := client.Exchange(ctx, s.host)
	if err == nil {
		s.address, err = addressOf(ctx, agreement)
	}
	if s.failure = err; err == nil {
		s.keys, s.failures = &agreement, 0
		return
	}
	// Without a connection there is no server to spare.
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
		return
	}
	s.retry = time.Now().Add(min(firstRetry<<min(s.failures, 20), lastRetry))
	s.failures++
}

// addressOf returns the address of the time server that a key exchange names.
func addressOf(ctx context.Context, a nts.Agreement) (netip.AddrPort, error) {
	if address, err := netip.ParseAddr(a.Server); err == nil {
		return netip.AddrPortFrom(address.Unmap(), a.Port), nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", a.Server)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(found[0].Unmap(), a.Port), nil
}

// authorities returns the certificates of authorities in /etc/ssl/certs.
func authorities() (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil || pool.Equal(x509.NewCertPool()) {
		return nil, errors.New("no certificates of authorities in /etc/ssl/certs, which NTS needs\n  fix: add lkt/ca-certificates to init, and bind /etc/ssl/certs")
	}
	return pool, nil
}
