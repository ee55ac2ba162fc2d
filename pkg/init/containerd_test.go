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

// isDead reports whether the process has ended, or waits until it has. The reaper of another test
// may collect its status first.
func isDead(command *exec.Cmd, wait bool) bool {
	options := unix.WNOHANG
	if wait {
		options = 0
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(command.Process.Pid, &status, options, nil)
		if err != unix.EINTR {
			return err == unix.ECHILD || pid > 0
		}
	}
}

func stopping(command *exec.Cmd, timeout func() <-chan time.Time) *containerdServices {
	return &containerdServices{
		pid:         command.Process.Pid,
		stopping:    make(chan struct{}),
		stopped:     make(chan struct{}),
		progress:    make(chan struct{}, 1),
		stopTimeout: timeout,
	}
}

func TestStopGivesEachServiceItsOwnTimeout(t *testing.T) {
	command := stubborn(t)
	const services = 4
	begun := 0
	var m *containerdServices
	m = stopping(command, func() <-chan time.Time {
		if begun == services {
			close(m.stopped)
		} else {
			m.progress <- struct{}{}
		}
		begun++
		return nil // does not end
	})
	m.stop(context.Background())
	if begun != services+1 {
		t.Errorf("%d timeouts for %d services", begun, services)
	}
	if isDead(command, false) {
		t.Error("killed although its services stopped one after the other")
	}
}

func TestStopKillsWithoutProgress(t *testing.T) {
	command := stubborn(t)
	over := make(chan time.Time, 1)
	over <- time.Time{}
	stopping(command, func() <-chan time.Time { return over }).stop(context.Background())
	if !isDead(command, true) {
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
