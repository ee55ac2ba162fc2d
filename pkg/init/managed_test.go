package main

import (
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stubborn is a process that does not end when it is asked to.
func stubborn(t *testing.T) *exec.Cmd {
	t.Helper()
	command := exec.Command("sh", "-c", `trap "" TERM; echo; while :; do sleep 1; done`)
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return command
}

// isKilled waits a moment: the signal is there before the end is. The reaper of another test may have it first.
func isKilled(command *exec.Cmd) bool {
	for range 50 {
		var status unix.WaitStatus
		pid, err := unix.Wait4(command.Process.Pid, &status, unix.WNOHANG, nil)
		if err == unix.ECHILD || pid > 0 {
			return true
		}
		time.Sleep(2 * time.Millisecond)
	}
	return false
}

func stopping(command *exec.Cmd) *managed {
	return &managed{
		pid:      command.Process.Pid,
		stopping: make(chan struct{}),
		stopped:  make(chan struct{}),
		progress: make(chan struct{}, 1),
		patience: 300 * time.Millisecond,
	}
}

func TestEachServiceHasItsTimeToStop(t *testing.T) {
	command := stubborn(t)
	m := stopping(command)
	go func() {
		for range 4 {
			time.Sleep(150 * time.Millisecond)
			m.progress <- struct{}{}
		}
		close(m.stopped)
	}()
	m.stop()
	if isKilled(command) {
		t.Error("killed, though its services ended one after the other")
	}
}

func TestWhatMakesNoProgressIsKilled(t *testing.T) {
	command := stubborn(t)
	stopping(command).stop()
	if !isKilled(command) {
		t.Error("not killed")
	}
}
