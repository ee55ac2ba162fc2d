package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// step writes a line with the seconds since the kernel started to the console, and to the kernel's log at debug level,
// where it has its place among the kernel's own lines.
func step(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	fmt.Fprintf(os.Stderr, "lkt: %s %.3f\n", text, uptime().Seconds())
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
