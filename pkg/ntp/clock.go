package main

import (
	"fmt"
	"math/bits"
	"syscall"
	"time"
)

// Of sys/timex.h.
const (
	adjOffset    = 0x0001
	adjMaxError  = 0x0004
	adjEstError  = 0x0008
	adjStatus    = 0x0010
	adjConstant  = 0x0020
	adjSetOffset = 0x0100
	adjNano      = 0x2000
	statusPLL    = 0x0001
	// mostSlewed is what the kernel takes at once.
	mostSlewed = 500 * time.Millisecond
)

// step sets the clock at once.
func step(offset time.Duration) error {
	seconds, rest := int64(offset/time.Second), int64(offset%time.Second)
	if rest < 0 {
		seconds, rest = seconds-1, rest+int64(time.Second)
	}
	return adjust(&syscall.Timex{Modes: adjSetOffset | adjNano, Time: syscall.Timeval{Sec: seconds, Usec: rest}})
}

// slew has the kernel make its clock a little quicker or slower until the offset is gone, and learn from it how quick it is: the
// phase-locked loop of RFC 5905, section 11.3. The time until the next call is what its time constant is made of.
func slew(offset time.Duration, until time.Duration) error {
	bound := max(min(offset, mostSlewed), -mostSlewed)
	return adjust(&syscall.Timex{
		Modes:    adjOffset | adjStatus | adjConstant | adjMaxError | adjEstError | adjNano,
		Offset:   int64(bound),
		Status:   statusPLL,
		Constant: int64(bits.Len64(uint64(until/time.Second)) - 1),
		Maxerror: offset.Abs().Microseconds(),
		Esterror: offset.Abs().Microseconds(),
	})
}

func adjust(t *syscall.Timex) error {
	if _, err := syscall.Adjtimex(t); err != nil {
		return fmt.Errorf("set the clock: %w\n  fix: the container needs CAP_SYS_TIME", err)
	}
	return nil
}
