package main

import (
	"errors"
	"os/exec"
	"syscall"
	"testing"
)

func TestExitCode(t *testing.T) {
	for script, expected := range map[string]int{"exit 0": 0, "exit 7": 7, "kill -TERM $$": 128 + 15} {
		status := 0
		var failed *exec.ExitError
		if err := exec.Command("sh", "-c", script).Run(); errors.As(err, &failed) {
			status = exitCode(failed.Sys().(syscall.WaitStatus))
		} else if err != nil {
			t.Fatal(err)
		}
		if status != expected {
			t.Errorf("%s: %d instead of %d", script, status, expected)
		}
	}
}

func TestIsQuestion(t *testing.T) {
	for arg, want := range map[string]bool{"--version": true, "-v": true, "--help": true, "--debug": false, "version": false} {
		if got := isQuestion(arg); got != want {
			t.Errorf("%s: %v", arg, got)
		}
	}
}
