package main

import (
	"io"
	"sync"
	"time"
)

// places limits the number of connections of all ports together. A connection that moves no byte
// for the time idle loses its place to one that waits: silent clients cannot lock out others.
type places struct {
	max  int
	idle time.Duration

	mutex sync.Mutex
	taken map[*place]struct{}
	// freed wakes those that wait in take.
	freed chan struct{}
}

// place is the place of one connection.
type place struct {
	of     *places
	client io.Closer
	// used is when a byte was last moved.
	used time.Time
}

func newPlaces(most int, idle time.Duration) *places {
	return &places{max: most, idle: idle, taken: map[*place]struct{}{}, freed: make(chan struct{}, most)}
}

// take returns a place for a client, and waits for one if all are in use.
func (p *places) take(client io.Closer) *place {
	one := &place{of: p, client: client}
	for {
		wait, done := p.try(one)
		if done {
			return one
		}
		select {
		case <-p.freed:
		case <-time.After(wait):
		}
	}
}

// try takes a place that is free, or that of the client which is silent for the longest time. Else
// it returns the time until that client loses it.
func (p *places) try(one *place) (wait time.Duration, done bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	now := time.Now()
	if len(p.taken) >= p.max {
		var oldest *place
		for other := range p.taken {
			if oldest == nil || other.used.Before(oldest.used) {
				oldest = other
			}
		}
		if silent := now.Sub(oldest.used); silent < p.idle {
			return p.idle - silent, false
		}
		delete(p.taken, oldest)
		oldest.client.Close()
	}
	one.used = now
	p.taken[one] = struct{}{}
	return 0, true
}

// free ends the use of the place.
func (p *place) free() {
	p.of.mutex.Lock()
	defer p.of.mutex.Unlock()
	if _, found := p.of.taken[p]; !found {
		return // lost
	}
	delete(p.of.taken, p)
	select {
	case p.of.freed <- struct{}{}:
	default:
	}
}

// use notes that the connection moves a byte.
func (p *place) use() {
	p.of.mutex.Lock()
	p.used = time.Now()
	p.of.mutex.Unlock()
}
