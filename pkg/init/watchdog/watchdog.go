// Package watchdog feeds the hardware's watchdog while the machine is healthy. If that ends, or PID
// 1 or the kernel hangs, the hardware resets the machine.
package watchdog

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	devicePath = "/dev/watchdog"
	// defaultTimeout is how long after the last feeding the hardware resets the machine.
	defaultTimeout = time.Minute
	// shutdownTime is how long a shutdown may take.
	shutdownTime = 30 * time.Minute
)

// Watchdog is a running watchdog. Its methods do nothing on nil.
type Watchdog struct {
	device *os.File
	report func(format string, args ...any)
	// timeout is the time that the driver has set.
	timeout time.Duration
	begin   time.Time
	// until is how long after begin the watchdog is fed without a check of the health.
	until atomic.Int64
}

// setting returns the timeout that "lkt.watchdog=SECONDS" on the command line sets, 0 for
// "lkt.watchdog=off", and the default without it.
func setting(cmdline []string) (timeout time.Duration, isSet bool, err error) {
	timeout = defaultTimeout
	for _, word := range cmdline {
		value, found := strings.CutPrefix(word, "lkt.watchdog=")
		if !found {
			continue
		}
		if isSet = true; value == "off" {
			timeout = 0
			continue
		}
		seconds, err := strconv.ParseUint(value, 10, 12)
		if err != nil || seconds < 10 || seconds > 3600 {
			return defaultTimeout, true, fmt.Errorf("lkt.watchdog=%s: neither \"off\" nor 10 to 3600 seconds", value)
		}
		timeout = time.Duration(seconds) * time.Second
	}
	return timeout, isSet, nil
}

// Start starts the watchdog and feeds it while health returns no error. It returns nil if the
// machine has no watchdog, or the command line disables it.
func Start(cmdline []string, health func() error, report func(format string, args ...any)) *Watchdog {
	timeout, isSet, err := setting(cmdline)
	if err != nil {
		report("%v", err)
	}
	if timeout == 0 {
		return nil
	}
	device, err := os.OpenFile(devicePath, os.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		if isSet || !os.IsNotExist(err) {
			report("no watchdog: %v", err)
		}
		return nil
	}
	w := &Watchdog{device: device, report: report, timeout: timeout, begin: time.Now()}
	// A driver may round the time, or have a fixed one.
	_ = unix.IoctlSetPointerInt(int(device.Fd()), unix.WDIOC_SETTIMEOUT, int(timeout.Seconds()))
	if seconds, err := unix.IoctlGetInt(int(device.Fd()), unix.WDIOC_GETTIMEOUT); err == nil && seconds > 0 {
		w.timeout = time.Duration(seconds) * time.Second
	}
	w.feed()
	report("watchdog of %v", w.timeout)
	go w.run(health)
	return w
}

// run feeds the watchdog four times per timeout, until the last check that succeeded is two
// timeouts old. A check that hangs is a check that fails.
func (w *Watchdog) run(health func() error) {
	results := make(chan error, 1)
	isChecking, isFed := false, true
	healthy := time.Now()
	reason := error(nil)
	for ; ; time.Sleep(w.timeout / 4) {
		select {
		case reason = <-results:
			if isChecking = false; reason == nil {
				healthy = time.Now()
			}
		default:
		}
		if !isChecking {
			isChecking = true
			go func() { results <- health() }()
		}
		if time.Since(healthy) > 2*w.timeout && time.Since(w.begin) > time.Duration(w.until.Load()) {
			if isFed {
				if isFed = false; reason == nil {
					reason = fmt.Errorf("the check of PID 1 hangs")
				}
				w.report("watchdog is not fed, the machine will be reset: %v", reason)
			}
			continue
		}
		isFed = true
		w.feed()
	}
}

func (w *Watchdog) feed() {
	_, _ = w.device.Write([]byte{0})
}

// ShutDown feeds the watchdog for the time of a shutdown, whose end stops what health checks.
func (w *Watchdog) ShutDown() {
	if w != nil {
		w.until.Store(int64(time.Since(w.begin) + shutdownTime))
	}
}

// End prepares the end of the machine: a watchdog that stays on ends a shutdown that hangs. It is
// switched off if the machine is halted, and so stays as it is.
func (w *Watchdog) End(isHalted bool) {
	switch {
	case w == nil:
	case isHalted:
		_, _ = w.device.Write([]byte("V"))
		w.device.Close()
	default:
		w.feed()
	}
}
