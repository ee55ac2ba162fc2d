package main

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for command, want := range map[string]struct {
		delay  time.Duration
		signal syscall.Signal
	}{
		"poweroff":                 {30 * time.Second, syscall.SIGUSR2},
		"/bin/sh /poweroff.sh 10":  {10 * time.Second, syscall.SIGUSR2},
		"/usr/bin/poweroff 0.5":    {500 * time.Millisecond, syscall.SIGUSR2},
		"poweroff -reboot 0":       {0, syscall.SIGINT},
		"/bin/sh /poweroff.sh":     {30 * time.Second, syscall.SIGUSR2},
		"poweroff -halt 100000000": {100_000_000 * time.Second, syscall.SIGUSR1},
	} {
		delay, signal, err := parse(strings.Fields(command))
		if err != nil || delay != want.delay || signal != want.signal {
			t.Errorf("%s: %v, %v, %v", command, delay, signal, err)
		}
	}
	for _, command := range []string{"sh", "sh -c reboot", "poweroff -1", "poweroff NaN", "poweroff 1 2", "poweroff -reboot -halt", "poweroff 1e30"} {
		if _, _, err := parse(strings.Fields(command)); err == nil {
			t.Errorf("%s: accepted", command)
		}
	}
}
