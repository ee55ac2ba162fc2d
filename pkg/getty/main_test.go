package main

import (
	"slices"
	"testing"
)

func TestConsoles(t *testing.T) {
	for cmdline, want := range map[string][]string{
		"":                  nil,
		"quiet root=/dev/x": nil,
		"console=ttyS0":     {"ttyS0"},
		"console=tty0 console=ttyS0,115200n8 console=ttyS0\n": {"tty1", "ttyS0"},
		"console=../sda console= console=null":                nil,
		"lkt.console=ttyS1":                                   nil,
	} {
		if got := consoles(cmdline); !slices.Equal(got, want) {
			t.Errorf("%q: got %v", cmdline, got)
		}
	}
}
