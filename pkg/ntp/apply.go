package main

import (
	"fmt"
	"time"

	"lkt/ntp/agree"
)

// apply sets the clock by what the servers agree on: at once if it is the first time and it is off by much, else slowly.
func (c *client) apply(clocks []agree.Clock, servers int) error {
	offset, count, err := agree.On(clocks, servers)
	if err != nil {
		return err
	}
	switch {
	case !c.set && offset.Abs() >= stepFrom:
		if err := c.step(offset); err != nil {
			return err
		}
		fmt.Printf("ntp: the clock is set by %v, as %d of %d servers say\n", offset, count, servers)
		c.set = true
		return nil
	case !c.set:
		fmt.Printf("ntp: the clock is right within %v, as %d of %d servers say\n", offset.Abs(), count, servers)
		c.set = true
	case offset.Abs() >= stray:
		c.strays++
		c.say("round", fmt.Sprintf("the clock is off by %v", offset.Round(time.Second)))
		if c.strays >= straysMost {
			return &strayed{offset}
		}
		return nil
	default:
		c.say("round", "the clock is right")
	}
	c.strays = 0
	if offset.Abs() < settled {
		c.pause = min(c.pause*2, mostPause)
	} else {
		c.pause = firstPause
	}
	return c.slew(offset, c.pause)
}
