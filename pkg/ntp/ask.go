package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"lkt/ntp/agree"
	"lkt/ntp/nts"
	"lkt/ntp/packet"
)

const (
	// exchanges per round and server. The one with the shortest delay counts, because it was queued
	// least.
	exchanges  = 4
	retryDelay = 2 * time.Second
	// maxAnswer is the size of the longest answer: one with NTS has cookies.
	maxAnswer = 2048
	// drift is the frequency tolerance of a clock: 15 PPM (PHI of RFC 5905).
	drift = 15e-6
	// minDelay replaces shorter delays, because clocks are not read at once (MINDISP of RFC 5905).
	minDelay = 5 * time.Millisecond
)

// timeout is the limit of one exchange, or one query of a name server. Tests change it.
var timeout = 3 * time.Second

// sample is the result of one exchange with a server.
type sample struct {
	offset, delay, distance time.Duration
}

// station is a server at an address.
type station struct {
	address netip.AddrPort
	// keys authenticate its answers. nil means that they are not authenticated.
	keys *nts.Agreement
}

// round queries all servers concurrently, each several times. It returns their clocks, and the
// errors of servers without an answer.
func round(ctx context.Context, servers []station, times int) (clocks []agree.Clock, failures map[netip.AddrPort]error) {
	failures = map[netip.AddrPort]error{}
	var lock sync.Mutex
	var all sync.WaitGroup
	for _, s := range servers {
		all.Add(1)
		go func() {
			defer all.Done()
			best, err := bestSample(ctx, s, times)
			lock.Lock()
			defer lock.Unlock()
			if err != nil {
				failures[s.address] = err
				return
			}
			clocks = append(clocks, agree.Clock{Offset: best.offset, Distance: best.distance})
		}()
	}
	all.Wait()
	return clocks, failures
}

// bestSample returns the sample with the shortest delay of several exchanges.
func bestSample(ctx context.Context, from station, times int) (best sample, err error) {
	found := false
	for i := range times {
		if i > 0 {
			select {
			case <-ctx.Done():
				return best, ctx.Err()
			case <-time.After(retryDelay):
			}
		}
		s, failure := exchange(ctx, from)
		if errors.Is(failure, packet.ErrRefused) || errors.Is(failure, packet.ErrRate) {
			return best, failure
		}
		if failure != nil {
			err = failure
			continue
		}
		if !found || s.delay < best.delay {
			best, found = s, true
		}
	}
	if found {
		return best, nil
	}
	return best, err
}

// exchange sends one request. A new socket has a random port, which off-path attackers cannot know.
func exchange(ctx context.Context, with station) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var dialer net.Dialer
	// Connected, so that the kernel accepts only packets from this address and port.
	socket, err := dialer.DialContext(ctx, "udp", with.address.String())
	if err != nil {
		return sample{}, err
	}
	defer socket.Close()
	deadline, _ := ctx.Deadline()
	if err := socket.SetDeadline(deadline); err != nil {
		return sample{}, err
	}
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return sample{}, err
	}
	token := packet.Timestamp(binary.NativeEndian.Uint64(random[:]))
	request, open, err := with.request(packet.Request(token))
	if err != nil {
		return sample{}, err
	}
	sent := time.Now()
	if _, err := socket.Write(request); err != nil {
		return sample{}, err
	}
	buffer := make([]byte, maxAnswer)
	var refusal error
	for {
		n, err := socket.Read(buffer)
		received := time.Now()
		if err != nil {
			return sample{}, cmp.Or(refusal, err)
		}
		switch err := open(buffer[:n]); {
		case errors.Is(err, nts.ErrNak):
			refusal = err
			continue
		case err != nil:
			continue
		}
		answer, err := packet.Parse(buffer[:n], token)
		if errors.Is(err, packet.ErrOther) {
			continue
		}
		if err != nil {
			return sample{}, err
		}
		if err := with.check(answer); err != nil {
			return sample{}, err
		}
		return measure(sent, received, answer)
	}
}

// request returns the packet to send, and a function that rejects answers which may be from anyone.
func (s station) request(header []byte) (sent []byte, open func([]byte) error, err error) {
	if s.keys == nil {
		return header, func([]byte) error { return nil }, nil
	}
	r, err := s.keys.Session.Request(header)
	return r.Packet, r.Open, err
}

// check rejects a time at which the certificate of the server is not valid.
func (s station) check(a packet.Answer) error {
	if s.keys != nil && (a.Sent.Before(s.keys.NotBefore) || a.Sent.After(s.keys.NotAfter)) {
		return errors.New("the server claims a time at which its certificate is not valid")
	}
	return nil
}

// measure computes the offset of a server's clock, the delay and the error bound: RFC 5905 section
// 8.
func measure(sent, received time.Time, a packet.Answer) (sample, error) {
	// By the monotonic clock, since the wall clock may be set meanwhile.
	took := received.Sub(sent)
	end := sent.Round(0).Add(took)
	first, second := a.Received.Sub(sent.Round(0)), a.Sent.Sub(end)
	delay := took - a.Sent.Sub(a.Received)
	if delay < -a.Precision {
		return sample{}, errors.New("the server claims a longer processing time than the round trip")
	}
	delay = max(delay, a.Precision, time.Microsecond)
	return sample{
		offset:   second + (first-second)/2,
		delay:    delay,
		distance: max(a.RootDelay+delay, minDelay)/2 + a.RootDispersion + a.Precision + time.Duration(drift*float64(took)),
	}, nil
}

// lookUp returns the distinct addresses of the servers without NTS, and the errors of names without
// one.
func lookUp(ctx context.Context, servers []server) (all []station, failures map[string]error) {
	seen := map[netip.AddrPort]bool{}
	failures = map[string]error{}
	for _, s := range servers {
		if s.IsSecure {
			continue
		}
		host, port, err := net.SplitHostPort(s.Name)
		if err != nil {
			failures[s.Name] = err
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, timeout)
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		cancel()
		if err != nil {
			failures[host] = err
		}
		limit := 1
		if s.IsPool {
			limit = poolServers
		}
		for _, address := range found[:min(len(found), limit)] {
			full, err := netip.ParseAddrPort(net.JoinHostPort(address.Unmap().String(), port))
			if err == nil && !seen[full] {
				seen[full] = true
				all = append(all, station{address: full})
			}
		}
	}
	return all[:min(len(all), maxServers)], failures
}
