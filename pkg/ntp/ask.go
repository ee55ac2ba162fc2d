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
	// exchanges of a round with each server, of which the quickest counts: it waited least on its way.
	exchanges = 4
	between   = 2 * time.Second
	patience  = 3 * time.Second
	// drift is what a clock may lose between two looks at it: 15 of a million, RFC 5905.
	drift = 15e-6
	// leastDelay counts where less was measured: clocks are not read at once. MINDISP of RFC 5905.
	leastDelay = 5 * time.Millisecond
)

// sample is one exchange with a server.
type sample struct {
	offset, delay, distance time.Duration
}

// round asks all servers several times, side by side, and gives what each says, and the errors of those that say nothing.
func round(ctx context.Context, servers []netip.AddrPort, times int) (clocks []agree.Clock, failures map[netip.AddrPort]error) {
	failures = map[netip.AddrPort]error{}
	var lock sync.Mutex
	var all sync.WaitGroup
	for _, address := range servers {
		all.Add(1)
		go func() {
			defer all.Done()
			best, err := several(ctx, address, times)
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

// several is the quickest of several exchanges.
func several(ctx context.Context, address netip.AddrPort, times int) (best sample, err error) {
	found := false
	for i := range times {
		if i > 0 {
			select {
			case <-ctx.Done():
				return best, ctx.Err()
			case <-time.After(between):
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

// exchange asks once. A new socket has another port, which nobody can know who does not see the request.
func exchange(ctx context.Context, address netip.AddrPort) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var dialer net.Dialer
	// Connected: the kernel takes packets of that address and port alone.
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

// measure is the offset of a server's clock and how far it may be wrong: section 8 of RFC 5905.
func measure(sent, received time.Time, a packet.Answer) (sample, error) {
	// By the clock that nobody sets; without it the machine's clock could be set in between.
	took := received.Sub(sent)
	end := sent.Round(0).Add(took)
	first, second := a.Received.Sub(sent.Round(0)), a.Sent.Sub(end)
	delay := took - a.Sent.Sub(a.Received)
	if delay < -a.Precision {
		return sample{}, errors.New("the server says that it held the request longer than the answer took")
	}
	delay = max(delay, a.Precision, time.Microsecond)
	return sample{
		offset:   second + (first-second)/2,
		delay:    delay,
		distance: max(a.RootDelay+delay, leastDelay)/2 + a.RootDispersion + a.Precision + time.Duration(drift*float64(took)),
	}, nil
}

// lookUp gives the addresses of servers, none twice.
func lookUp(ctx context.Context, servers []server) (all []netip.AddrPort, failures []error) {
	seen := map[netip.AddrPort]bool{}
	for _, s := range servers {
		host, port, err := net.SplitHostPort(s.name)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, patience)
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		cancel()
		if err != nil {
			failures = append(failures, err)
		}
		most := 1
		if s.several {
			most = ofPool
		}
		for _, address := range found[:min(len(found), most)] {
			full, err := netip.ParseAddrPort(net.JoinHostPort(address.Unmap().String(), port))
			if err == nil && !seen[full] {
				seen[full] = true
				all = append(all, full)
			}
		}
	}
	return all[:min(len(all), mostServers)], failures
}
