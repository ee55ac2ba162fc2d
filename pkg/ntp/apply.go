package main

import (
	"fmt"
	"time"

	"lkt/ntp/agree"
)

// apply adjusts the clock by the agreed offset: a large offset is stepped at the first time,
// otherwise it is slewed.
func (c *client) apply(clocks []agree.Clock, servers int) error {
	offset, count, err := agree.On(clocks, servers)
	if err != nil {
		return err
	}
	switch {
	case !c.set && offset.Abs() >= stepThreshold:
		if err := c.step(offset); err != nil {
			return err
		}
		fmt.Printf("ntp: the clock is set by %v (%d of %d servers agree)\n", offset, count, servers)
		c.set = true
		return nil
	case !c.set:
		fmt.Printf("ntp: the clock is right within %v (%d of %d servers agree)\n", offset.Abs(), count, servers)
		c.set = true
	case offset.Abs() >= panicThreshold:
		c.panics++
		c.report("round", fmt.Sprintf("the clock is off by %v", offset.Round(time.Second)))
		if c.panics >= maxPanics {
			return &driftError{offset}
		}
		return nil
	default:
		c.report("round", "the clock is right")
	}
	c.panics = 0
	if offset.Abs() < stableOffset {
		c.interval = min(c.interval*2, maxInterval)
	} else {
		c.interval = minInterval
	}
	return c.slew(offset, c.interval)
}
