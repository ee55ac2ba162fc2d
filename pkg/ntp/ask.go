package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"lkt/ntp/agree"
	"lkt/ntp/packet"
)

const (
	// exchanges per round and server. The one with the shortest delay counts, because it was queued
	// least.
	exchanges  = 4
	retryDelay = 2 * time.Second
	timeout    = 3 * time.Second
	// drift is the frequency tolerance of a clock: 15 PPM (PHI of RFC 5905).
	drift = 15e-6
	// minDelay replaces shorter delays, because clocks are not read at once (MINDISP of RFC 5905).
	minDelay = 5 * time.Millisecond
)

// sample is the result of one exchange with a server.
type sample struct {
	offset, delay, distance time.Duration
}

// round queries all servers concurrently, each several times. It returns their clocks, and the
// errors of servers without an answer.
func round(ctx context.Context, servers []netip.AddrPort, times int) (clocks []agree.Clock, failures map[netip.AddrPort]error) {
	failures = map[netip.AddrPort]error{}
	var lock sync.Mutex
	var all sync.WaitGroup
	for _, address := range servers {
		all.Add(1)
		go func() {
			defer all.Done()
			best, err := bestSample(ctx, address, times)
			lock.Lock()
			defer lock.Unlock()
			if err != nil {
				failures[address] = err
				return
			}
			clocks = append(clocks, agree.Clock{Offset: best.offset, Distance: best.distance})
		}()
	}
	all.Wait()
	return clocks, failures
}

// bestSample returns the sample with the shortest delay of several exchanges.
func bestSample(ctx context.Context, address netip.AddrPort, times int) (best sample, err error) {
	found := false
	for i := range times {
		if i > 0 {
			select {
			case <-ctx.Done():
				return best, ctx.Err()
			case <-time.After(retryDelay):
			}
		}
		s, failure := exchange(ctx, address)
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
func exchange(ctx context.Context, address netip.AddrPort) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var dialer net.Dialer
	// Connected, so that the kernel accepts only packets from this address and port.
	socket, err := dialer.DialContext(ctx, "udp", address.String())
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
	sent := time.Now()
	if _, err := socket.Write(packet.Request(token)); err != nil {
		return sample{}, err
	}
	buffer := make([]byte, 1024)
	for {
		n, err := socket.Read(buffer)
		received := time.Now()
		if err != nil {
			return sample{}, err
		}
		answer, err := packet.Parse(buffer[:n], token)
		if errors.Is(err, packet.ErrOther) {
			continue
		}
		if err != nil {
			return sample{}, err
		}
		return measure(sent, received, answer)
	}
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

// lookUp returns the distinct addresses of the servers, and the errors of names without one.
func lookUp(ctx context.Context, servers []server) (all []netip.AddrPort, failures map[string]error) {
	seen := map[netip.AddrPort]bool{}
	failures = map[string]error{}
	for _, s := range servers {
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
				all = append(all, full)
			}
		}
	}
	return all[:min(len(all), maxServers)], failures
}
