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
// debug level, where it has its place among the kernel's own lines.
func step(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	fmt.Fprintf(os.Stderr, "lkt: %s %.3f\n", text, uptime().Seconds())
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
