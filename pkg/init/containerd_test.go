package main

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stubborn returns a process that ignores SIGTERM.
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

// isKilled reports whether the process dies within a moment: a signal is delivered asynchronously.
// The reaper of another test may collect its status first.
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

func stopping(command *exec.Cmd) *containerdServices {
	return &containerdServices{
		pid:         command.Process.Pid,
		stopping:    make(chan struct{}),
		stopped:     make(chan struct{}),
		progress:    make(chan struct{}, 1),
		stopTimeout: 300 * time.Millisecond,
	}
}

func TestStopWaitsForEachService(t *testing.T) {
	command := stubborn(t)
	m := stopping(command)
	go func() {
		for range 4 {
			time.Sleep(150 * time.Millisecond)
			m.progress <- struct{}{}
		}
		close(m.stopped)
	}()
	m.stop(context.Background())
	if isKilled(command) {
		t.Error("killed although its services stopped one after the other")
	}
}

func TestStopKillsWithoutProgress(t *testing.T) {
	command := stubborn(t)
	stopping(command).stop(context.Background())
	if !isKilled(command) {
		t.Error("not killed")
	}
}

func TestContainerdHealth(t *testing.T) {
	var m containerdServices
	if err := m.health(); err != nil {
		t.Errorf("unhealthy before the first answer: %v", err)
	}
	m.alive.Store(int64(uptime()))
	if err := m.health(); err != nil {
		t.Error(err)
	}
	m.alive.Store(int64(uptime() - aliveTime - time.Second))
	if err := m.health(); err == nil {
		t.Error("healthy without an answer")
	}
}
