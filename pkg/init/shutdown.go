package main

import (
	"os"
	"os/signal"
	"strconv"
	"strings"
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

// shutdownRequests returns a channel of shutdown requests: signals to PID 1 (those of busybox's
// init, and ctrl-alt-del as SIGINT), or the power button.
func shutdownRequests() <-chan shutdownMode {
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF); err != nil {
		step("ctrl-alt-del: %v", err)
	}
	requests := make(chan shutdownMode, 1)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGPWR)
	go func() {
		request := modeForSignal(<-signals)
		requests <- request
		for range signals { // ignore later requests
		}
	}()
	for _, path := range inputDevices() {
		go watchPowerButton(path, signals)
	}
	return requests
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
			return
		}
	}
}

func isPowerPress(event []byte) bool {
	const keyEvent, powerKey, pressed = 1, 116, 1
	return event[16] == keyEvent && event[17] == 0 && event[18] == powerKey && event[19] == 0 && event[20] == pressed
}

// stopEverything sends SIGTERM to all processes, and SIGKILL to those that remain.
func stopEverything() {
	_ = unix.Kill(-1, unix.SIGTERM)
	if waitForProcesses(5 * time.Second) {
		return
	}
	_ = unix.Kill(-1, unix.SIGKILL)
	if !waitForProcesses(5 * time.Second) {
		step("some processes could not be killed")
	}
}

func waitForProcesses(limit time.Duration) bool {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
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
