package main

import (
	"context"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

type shutdownMode struct {
	name    string
	command int
}

var (
	powerOff = shutdownMode{"poweroff", unix.LINUX_REBOOT_CMD_POWER_OFF}
	reboot   = shutdownMode{"reboot", unix.LINUX_REBOOT_CMD_RESTART}
	halt     = shutdownMode{"halt", unix.LINUX_REBOOT_CMD_HALT}
)

// repeatTime is how long further requests count as the first one. A machine may have two devices
// for one power button, and a person may press it twice.
const repeatTime = 10 * time.Second

// shutdown is the request to shut down. The first request sets its mode and ends requested. One
// after repeatTime ends forced, and with it every wait.
type shutdown struct {
	requested, forced context.Context
	request, force    context.CancelFunc

	mutex sync.Mutex
	mode  shutdownMode
	at    time.Time
}

func newShutdown() *shutdown {
	var s shutdown
	s.forced, s.force = context.WithCancel(context.Background())
	s.requested, s.request = context.WithCancel(s.forced)
	return &s
}

// shutdownRequests returns the shutdown that signals to PID 1 request (those of busybox's init, and
// ctrl-alt-del as SIGINT), or the power button.
func shutdownRequests() *shutdown {
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF); err != nil {
		step("ctrl-alt-del: %v", err)
	}
	s := newShutdown()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGPWR)
	go func() {
		for one := range signals {
			s.ask(modeForSignal(one))
		}
	}()
	for _, path := range inputDevices() {
		go watchPowerButton(path, signals)
	}
	return s
}

// ask requests a shutdown, or forces the one that has begun.
func (s *shutdown) ask(mode shutdownMode) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	switch {
	case s.requested.Err() == nil:
		s.mode, s.at = mode, time.Now()
		s.request()
	case s.forced.Err() == nil && time.Since(s.at) >= repeatTime:
		step("%s is forced", s.mode.name)
		s.force()
	}
}

// begin starts a shutdown that no signal requested. If one did, begin has no effect.
func (s *shutdown) begin(mode shutdownMode) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.requested.Err() == nil {
		s.mode, s.at = mode, time.Now()
		s.request()
	}
}

// change replaces the mode of a shutdown that has begun.
func (s *shutdown) change(mode shutdownMode) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.mode = mode
}

// current returns the mode of a shutdown that has begun.
func (s *shutdown) current() shutdownMode {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.mode
}

func modeForSignal(s os.Signal) shutdownMode {
	switch s {
	case unix.SIGINT:
		return reboot
	case unix.SIGUSR1:
		return halt
	}
	return powerOff
}

func inputDevices() []string {
	entries, err := os.ReadDir("/dev/input")
	if err != nil {
		return nil
	}
	var paths []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "event") {
			paths = append(paths, "/dev/input/"+e.Name())
		}
	}
	return paths
}

func watchPowerButton(path string, signals chan<- os.Signal) {
	device, err := os.Open(path)
	if err != nil {
		return
	}
	defer device.Close()
	// struct input_event of 64-bit Linux: two longs, type, code, value.
	event := make([]byte, 24)
	for {
		if n, err := device.Read(event); err != nil || n != len(event) {
			return
		}
		if isPowerPress(event) {
			signals <- unix.SIGPWR
		}
	}
}

func isPowerPress(event []byte) bool {
	const keyEvent, powerKey, pressed = 1, 116, 1
	return event[16] == keyEvent && event[17] == 0 && event[18] == powerKey && event[19] == 0 && event[20] == pressed
}

// stopEverything sends SIGTERM to all processes, and SIGKILL to those that remain.
func stopEverything(forced context.Context) {
	_ = unix.Kill(-1, unix.SIGTERM)
	gentle, cancel := context.WithTimeout(forced, 5*time.Second)
	defer cancel()
	if waitForProcesses(gentle) {
		return
	}
	_ = unix.Kill(-1, unix.SIGKILL)
	last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if !waitForProcesses(last) {
		step("some processes could not be killed")
	}
}

// waitForProcesses reports whether all processes end before ctx does.
func waitForProcesses(ctx context.Context) bool {
	for ; ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		if !hasProcesses() {
			return true
		}
	}
	return false
}

// hasProcesses reports whether a process exists besides PID 1 and kernel threads, which have no
// executable.
func hasProcesses() bool {
	proc, err := os.Open("/proc")
	if err != nil {
		return false
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return false
	}
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err != nil || pid == 1 {
			continue
		}
		if _, err := os.Readlink("/proc/" + name + "/exe"); err == nil {
			return true
		}
	}
	return false
}
