package main

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestArguments(t *testing.T) {
	for command, want := range map[string]struct {
		after time.Duration
		ask   syscall.Signal
	}{
		"poweroff":                 {30 * time.Second, syscall.SIGUSR2},
		"/bin/sh /poweroff.sh 10":  {10 * time.Second, syscall.SIGUSR2},
		"/usr/bin/poweroff 0.5":    {500 * time.Millisecond, syscall.SIGUSR2},
		"poweroff -reboot 0":       {0, syscall.SIGINT},
		"/bin/sh /poweroff.sh":     {30 * time.Second, syscall.SIGUSR2},
		"poweroff -halt 100000000": {100_000_000 * time.Second, syscall.SIGUSR1},
	} {
		after, ask, err := parse(strings.Fields(command))
		if err != nil || after != want.after || ask != want.ask {
			t.Errorf("%s: %v, %v, %v", command, after, ask, err)
		}
	}
	for _, command := range []string{"sh", "sh -c reboot", "poweroff -1", "poweroff NaN", "poweroff 1 2", "poweroff -reboot -halt", "poweroff 1e30"} {
		if _, _, err := parse(strings.Fields(command)); err == nil {
			t.Errorf("%s: taken", command)
		}
	}
}
