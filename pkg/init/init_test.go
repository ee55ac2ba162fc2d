package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestIsPowerPress(t *testing.T) {
	event := func(kind, code, value byte) []byte {
		b := make([]byte, 24)
		b[16], b[18], b[20] = kind, code, value
		return b
	}
	for name, row := range map[string]struct {
		event []byte
		want  bool
	}{
		"pressed":     {event(1, 116, 1), true},
		"released":    {event(1, 116, 0), false},
		"another key": {event(1, 30, 1), false},
		"sync":        {event(0, 0, 0), false},
	} {
		if got := isPowerPress(row.event); got != row.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestModeForSignal(t *testing.T) {
	for signal, want := range map[unix.Signal]int{
		unix.SIGINT: unix.LINUX_REBOOT_CMD_RESTART, unix.SIGUSR1: unix.LINUX_REBOOT_CMD_HALT,
		unix.SIGUSR2: unix.LINUX_REBOOT_CMD_POWER_OFF, unix.SIGTERM: unix.LINUX_REBOOT_CMD_POWER_OFF,
		unix.SIGPWR: unix.LINUX_REBOOT_CMD_POWER_OFF,
	} {
		if got := modeForSignal(signal).command; got != want {
			t.Errorf("%v: %x", signal, got)
		}
	}
}

func TestUnescapeMount(t *testing.T) {
	if got := unescapeMount(`/a\040b\134c`); got != `/a b\c` {
		t.Errorf("got %q", got)
	}
}

func TestReaperDeliversExitStatus(t *testing.T) {
	children := newReaper()
	// Another test waits for its children itself.
	t.Cleanup(func() { signal.Reset(unix.SIGCHLD) })
	for want := range 20 {
		_, done, err := children.start([]string{"/bin/sh", "-c", "exit " + string(rune('0'+want%10))}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := (<-done).ExitStatus(); got != want%10 {
			t.Errorf("%d instead of %d", got, want%10)
		}
	}
}

func TestStartSetsThePreferenceOfTheOOMKiller(t *testing.T) {
	children := newReaper()
	t.Cleanup(func() { signal.Reset(unix.SIGCHLD) })
	// A lower one than that of the test needs a capability.
	pid, done, err := children.startAs(program{path: "/bin/sleep", args: []string{"sleep", "600"}, oomScore: 900})
	if err != nil {
		t.Fatal(err)
	}
	score, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid))
	_ = unix.Kill(pid, unix.SIGKILL)
	<-done
	if err != nil || string(score) != "900\n" {
		t.Errorf("%q, %v", score, err)
	}
}

func TestWithRootMakesPathAbsolute(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":1,"root":{"path":"rootfs","readonly":true}}`: `{"a":1,"root":{"path":"/b/rootfs","readonly":true}}`,
		`{"root":{"path":"/x"}}`:                           `{"root":{"path":"/x"}}`,
	} {
		if got, err := withRoot([]byte(in), "/b"); err != nil || string(got) != want {
			t.Errorf("%s: %s %v", in, got, err)
		}
	}
	if _, err := withRoot([]byte(`{}`), "/b"); err == nil {
		t.Error("accepted a bundle without a root")
	}
}

func TestSecondRequestForcesTheShutdown(t *testing.T) {
	s := newShutdown()
	s.ask(reboot)
	if s.requested.Err() == nil || s.forced.Err() != nil || s.current() != reboot {
		t.Fatal("one request")
	}
	s.ask(powerOff)
	s.at = s.at.Add(-9 * time.Second)
	s.ask(powerOff)
	if s.forced.Err() != nil {
		t.Error("forced by a repetition of the first request")
	}
	s.at = s.at.Add(-time.Second)
	s.ask(powerOff)
	if s.forced.Err() == nil || s.current() != reboot {
		t.Error("not forced, or with another mode")
	}
}

func TestOneRequestForcesTheShutdownOfAContainer(t *testing.T) {
	s := newShutdown()
	s.begin(powerOff)
	if s.requested.Err() == nil || s.forced.Err() != nil {
		t.Fatal("not begun, or forced")
	}
	s.at = s.at.Add(-10 * time.Second)
	s.ask(reboot)
	if s.forced.Err() == nil || s.current() != powerOff {
		t.Error("not forced, or with another mode")
	}
}

func TestAwaitKillsAtTheDeadline(t *testing.T) {
	late := errors.New("late")
	for name, forced := range map[string]func(context.CancelFunc){
		"after the time to end": func(context.CancelFunc) {},
		"once forced":           func(force context.CancelFunc) { force() },
	} {
		command := stubborn(t)
		ctx, cancel := context.WithTimeoutCause(context.Background(), 10*time.Millisecond, late)
		defer cancel()
		force, end := context.WithCancel(context.Background())
		defer end()
		forced(end)
		done := make(chan unix.WaitStatus)
		err := await(ctx, force, command.Process.Pid, done, func() { _ = command.Process.Kill() })
		if !errors.Is(err, late) || !isDead(command, true) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAwaitReturnsTheStatusOfAContainer(t *testing.T) {
	done := make(chan unix.WaitStatus, 1)
	done <- unix.WaitStatus(3 << 8)
	err := await(context.Background(), context.Background(), -1, done, func() { t.Error("killed") })
	if err == nil || err.Error() != "exit status 3" {
		t.Error(err)
	}
}

// A status that has arrived counts, also if the container's time ends at the same moment.
func TestAwaitPrefersTheStatusToTheDeadline(t *testing.T) {
	command := stubborn(t)
	ended, end := context.WithCancel(context.Background())
	end()
	for range 100 {
		done := make(chan unix.WaitStatus, 1)
		done <- unix.WaitStatus(0)
		if err := await(ended, context.Background(), command.Process.Pid, done, func() {}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEndOfBoot(t *testing.T) {
	requested, request := context.WithCancel(context.Background())
	report := func(failed, more int) string {
		ready := make(chan int, 1)
		ready <- more
		return endOfBoot(&directServices{started: ready}, failed, requested)
	}
	if text := report(0, 0); text != "boot complete" {
		t.Error(text)
	}
	if text := report(1, 2); text != "boot ended with 3 failures" {
		t.Error(text)
	}
	request()
	for range 100 {
		if text := report(0, 1); text != "" {
			t.Fatalf("%q although a shutdown is requested", text)
		}
	}
}

func TestAddedDevice(t *testing.T) {
	for event, want := range map[string]string{
		"add@/devices/x\x00ACTION=add\x00DEVPATH=/devices/x\x00MODALIAS=usb:v1D6B\x00SEQNUM=1\x00": "usb:v1D6B",
		"remove@/devices/x\x00ACTION=remove\x00MODALIAS=usb:v1D6B\x00":                             "",
		"add@/devices/x\x00ACTION=add\x00SUBSYSTEM=net\x00":                                        "",
		"": "",
	} {
		if got := addedDevice([]byte(event)); got != want {
			t.Errorf("%q: %q", event, got)
		}
	}
}

func TestFollowReadsEventsOfTheKernel(t *testing.T) {
	files, _ := filepath.Glob("/sys/bus/*/devices/*/modalias")
	if len(files) == 0 {
		t.Skip("no device with a modalias")
	}
	events, err := listenDevices()
	if err != nil {
		t.Skip(err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	added := make(chan string, 1)
	done := make(chan struct{})
	go func() {
		followDevices(events, func(modalias string) {
			select {
			case added <- modalias:
			default:
			}
		})
		close(done)
	}()
	if err := os.WriteFile(filepath.Join(filepath.Dir(files[0]), "uevent"), []byte("add"), 0); err != nil {
		t.Skip("needs root:", err)
	}
	if got := <-added; got != strings.TrimSpace(string(text)) {
		t.Errorf("%q, not %q", got, text)
	}
	events.Close()
	<-done
}
