package main

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// logOfSteps is PID 1's own log, once there are logs.
var logOfSteps atomic.Pointer[os.File]

// step writes a line with the seconds since the kernel started to the console, to PID 1's own log, and to the kernel's log at
// debug level, where it has its place among the kernel's own lines. The line says what has been done since the one before, but for
// what other lines say the start of: "X starts" and, later, "X". "lkt run --timeline" reads them.
func step(format string, args ...any) { stepAt(uptime(), fmt.Sprintf(format, args...)) }

func stepAt(at time.Duration, text string) {
	fmt.Fprintf(os.Stderr, "lkt: %s %.3f\n", text, at.Seconds())
	if log := logOfSteps.Load(); log != nil {
		// Never waits for the daemon: what a full pipe has no room for is on the console.
		_, _ = unix.Write(int(log.Fd()), []byte(text+"\n"))
	}
	if log, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0); err == nil {
		fmt.Fprintf(log, "<7>lkt: %s\n", text)
		log.Close()
	}
}

func uptime() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0
	}
	return time.Duration(now.Nano())
}
