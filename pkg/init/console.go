package main

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lkt/init/logs"
)

// stepLog is PID 1's own log, or nil before logging starts.
var stepLog atomic.Pointer[os.File]

// step writes a line with the seconds since the kernel started to the console and to PID 1's own
// log. It also writes it at debug level to the kernel's log, among the kernel's own lines. The line
// names what was done since the previous line, or since the line "X starts" if there is one. "lkt
// run --timeline" parses these lines.
func step(format string, args ...any) { stepAt(uptime(), fmt.Sprintf(format, args...)) }

func stepAt(at time.Duration, text string) {
	fmt.Fprintf(os.Stderr, "lkt: %s %.3f\n", text, at.Seconds())
	if log := stepLog.Load(); log != nil {
		// Does not wait for the daemon: if the pipe is full, the line is only on the console.
		_, _ = unix.Write(int(log.Fd()), []byte(text+"\n"))
	}
	if log, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0); err == nil {
		fmt.Fprintf(log, "<7>lkt: %s\n", text)
		log.Close()
	}
}

// showLine shows a line of a service's log on the console, after the service's name, as logd does.
func showLine(text string) { fmt.Fprintf(os.Stderr, "%s\n", logs.Printable(text)) }

func uptime() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0
	}
	return time.Duration(now.Nano())
}
