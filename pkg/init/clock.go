package main

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lkt/epoch"
)

// raiseClock sets a clock that is behind the earliest time that the machine can have. A clock
// without a battery begins in 1970, when no certificate is valid yet.
func raiseClock(cmdline []string) {
	floor, err := epoch.Floor(strings.Join(cmdline, " "))
	if err != nil {
		step("%v", err)
	}
	now := time.Now()
	if !now.Before(floor) {
		return
	}
	if err := unix.Settimeofday(&unix.Timeval{Sec: floor.Unix()}); err != nil {
		step("set the clock: %v", err)
		return
	}
	step("the clock was at %s, and is set to %s", now.UTC().Format(time.DateOnly), floor.UTC().Format(time.DateOnly))
}
