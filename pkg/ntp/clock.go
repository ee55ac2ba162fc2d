package main

import (
	"fmt"
	"math/bits"
	"syscall"
	"time"
)

// From sys/timex.h.
const (
	adjOffset    = 0x0001
	adjMaxError  = 0x0004
	adjEstError  = 0x0008
	adjStatus    = 0x0010
	adjConstant  = 0x0020
	adjSetOffset = 0x0100
	adjNano      = 0x2000
	statusPLL    = 0x0001
	// maxSlew is the largest offset that the kernel accepts.
	maxSlew = 500 * time.Millisecond
)

// step sets the clock at once.
func step(offset time.Duration) error {
	seconds, rest := int64(offset/time.Second), int64(offset%time.Second)
	if rest < 0 {
		seconds, rest = seconds-1, rest+int64(time.Second)
	}
	return adjust(&syscall.Timex{Modes: adjSetOffset | adjNano, Time: syscall.Timeval{Sec: seconds, Usec: rest}})
}

// slew makes the kernel adjust its clock gradually and learn its frequency: the phase-locked loop
// of RFC 5905 section 11.3. Its time constant derives from the time until the next call.
func slew(offset time.Duration, until time.Duration) error {
	bound := max(min(offset, maxSlew), -maxSlew)
	return adjust(&syscall.Timex{
		Modes:    adjOffset | adjStatus | adjConstant | adjMaxError | adjEstError | adjNano,
		Offset:   int64(bound),
		Status:   statusPLL,
		Constant: int64(bits.Len64(uint64(until/time.Second)) - 1),
		Maxerror: offset.Abs().Microseconds(),
		Esterror: offset.Abs().Microseconds(),
	})
}

// isDisciplined reports whether a program has slewed the clock since the boot. Nothing but a reboot
// takes the mark away, not even an hour without answers.
func isDisciplined() bool {
	var t syscall.Timex
	_, err := syscall.Adjtimex(&t)
	return err == nil && t.Status&statusPLL != 0
}

func adjust(t *syscall.Timex) error {
	if _, err := syscall.Adjtimex(t); err != nil {
		return fmt.Errorf("set the clock: %w\n  fix: give the container CAP_SYS_TIME", err)
	}
	return nil
}
