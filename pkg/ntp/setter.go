package main

import (
	"errors"
	"fmt"
	"time"

	"lkt/epoch"
	"lkt/ntp/agree"
	"lkt/ntp/message"
	"lkt/sandbox"
)

const (
	// stepThreshold is the offset from which the clock is stepped at startup.
	stepThreshold = 100 * time.Millisecond
	// panicThreshold is the offset from which the clock is never slewed: that would take most of an
	// hour.
	panicThreshold = 2 * time.Second
	// maxPanics is the number of consecutive rounds over panicThreshold after which the program
	// exits.
	maxPanics = 3
	// stableOffset is the offset below which the next round may be later.
	stableOffset = 10 * time.Millisecond
	// defaultMaxStep bounds the sum of the steps of a clock that has been set since the boot:
	// PANICT of RFC 5905.
	defaultMaxStep = 1000 * time.Second
)

// setter is the state of the clock.
type setter struct {
	step func(time.Duration) error
	slew func(offset, until time.Duration) error
	now  func() time.Time
	log  *reports
	// floor is the earliest time that the clock is set to.
	floor time.Time
	// wasSet means that the clock had been set since the boot when this program started. Then all
	// steps, those of earlier starts included, may have maxStep together. record keeps a step for
	// later starts.
	wasSet           bool
	stepped, maxStep time.Duration
	record           func(step time.Duration) error
	// query means that the offset is only reported.
	query bool
	// set means that the clock has been correct once: it is never stepped again.
	set      bool
	panics   int
	interval time.Duration
}

func newSetter(s setup) *setter {
	return &setter{
		step: step, slew: slew, now: time.Now, log: newReports(), interval: minInterval,
		floor: s.Floor, wasSet: s.WasSet, stepped: s.Stepped, maxStep: s.MaxStep, record: recorder(s.Steps), query: s.Query,
	}
}

// serve sets the clock by the rounds of the asker: until the asker ends or, with once, until the
// clock is set.
func (s *setter) serve(asker sandbox.Conn, once bool) error {
	buffer := make([]byte, sandbox.MaxMessage)
	for {
		raw, err := asker.Receive(buffer)
		if err != nil {
			return err
		}
		round, err := message.DecodeRound(raw)
		if err != nil {
			return err
		}
		answer, err := s.settle(round)
		if err != nil {
			return err
		}
		if once && answer.Agreed {
			return nil
		}
		if err := asker.Send(answer.Encode()); err != nil {
			return err
		}
	}
}

// driftError means that the clock is off by too much to be slewed.
type driftError struct{ offset time.Duration }

func (s *driftError) Error() string {
	return fmt.Sprintf("the clock is off by %v, too much to slew\n  fix: use restart: on-failure; at startup ntp steps the clock", s.offset)
}

// settle adjusts the clock by the agreed offset: a large offset is stepped at the first time,
// otherwise it is slewed. Servers that do not agree are not an error.
func (s *setter) settle(r message.Round) (message.Answer, error) {
	offset, count, err := agree.On(r.Clocks, r.Servers)
	if err == nil {
		err = s.check(offset)
	}
	if err != nil {
		s.log.report("", err.Error())
		return message.Answer{Interval: s.interval}, nil
	}
	switch {
	case s.query:
		s.log.report("", fmt.Sprintf("the clock is off by %v (%d of %d servers agree)", offset, count, r.Servers))
		return message.Answer{Agreed: true, Interval: s.interval}, nil
	case !s.set && offset.Abs() >= stepThreshold:
		if s.wasSet {
			if err := s.record(offset); err != nil {
				return message.Answer{}, err
			}
			s.stepped += offset.Abs()
		}
		// The slew tells the kernel, and so this program after a restart, that the clock is set.
		if err := errors.Join(s.step(offset), s.slew(0, s.interval)); err != nil {
			return message.Answer{}, err
		}
		s.log.report("", fmt.Sprintf("the clock is set by %v (%d of %d servers agree)", offset, count, r.Servers))
		s.set = true
		return message.Answer{Agreed: true, Interval: s.interval}, nil
	case !s.set:
		s.log.report("", fmt.Sprintf("the clock is right within %v (%d of %d servers agree)", offset.Abs(), count, r.Servers))
		s.set = true
	case offset.Abs() >= panicThreshold:
		s.panics++
		s.log.report("", fmt.Sprintf("the clock is off by %v", offset.Round(time.Second)))
		if s.panics >= maxPanics {
			return message.Answer{}, &driftError{offset}
		}
		return message.Answer{Agreed: true, Interval: s.interval}, nil
	default:
		s.log.report("", "the clock is right")
	}
	s.panics = 0
	if offset.Abs() < stableOffset {
		s.interval = min(s.interval*2, maxInterval)
	} else {
		s.interval = minInterval
	}
	return message.Answer{Agreed: true, Interval: s.interval}, s.slew(offset, s.interval)
}

// check rejects times that cannot be: before the image was made, or long after. Servers that agree
// on such a time would make expired certificates valid, or valid ones expired. If the clock has
// been set since the boot, it also rejects a large step, and the last of many small ones. So
// restarts do not lift the bound.
func (s *setter) check(offset time.Duration) error {
	then := s.now().Add(offset)
	if then.Before(s.floor) || then.After(epoch.Ceiling(s.floor)) {
		return fmt.Errorf("the servers claim that it is %s, which cannot be", then.UTC().Format(time.DateOnly))
	}
	if left := max(s.maxStep-s.stepped, 0); !s.query && !s.set && s.wasSet && offset.Abs() >= stepThreshold && offset.Abs() > left {
		return fmt.Errorf("the servers claim that the clock, which has been set since the boot, is off by %v, more than %v\n  fix: start the machine again, or set -max-step", offset.Round(time.Second), left.Round(time.Second))
	}
	return nil
}
