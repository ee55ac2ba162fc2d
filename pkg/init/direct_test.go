package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// A runtime that is killed leaves its child, as a shell does.
func TestKillCommandEndsOnlyAChildOfTheRuntime(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	runtime := exec.Command("/bin/sh", "-c", "sleep 1000 & echo $! >$0.new && mv $0.new $0; wait", pidFile)
	if err := runtime.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = runtime.Wait(); close(ended) }()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(pidFile); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("no command")
		}
	}
	killCommand(os.Getpid(), pidFile) // another's child
	select {
	case <-ended:
		t.Fatal("it ended a process of another runtime")
	case <-time.After(50 * time.Millisecond):
	}
	killCommand(runtime.Process.Pid, pidFile)
	select {
	case <-ended:
	case <-time.After(time.Minute):
		_ = runtime.Process.Kill()
		t.Error("the command goes on")
	}
	if err := os.WriteFile(pidFile, []byte("no number"), 0o600); err != nil {
		t.Fatal(err)
	}
	killCommand(os.Getpid(), pidFile)
	if got := parentOf("12 (a) b (c)) S " + strconv.Itoa(7) + " 1"); got != 7 || parentOf("") != 0 {
		t.Error(got)
	}
}
