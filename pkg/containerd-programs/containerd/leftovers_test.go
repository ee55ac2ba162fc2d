package main

import (
	"strings"
	"testing"
)

func TestIsShimOf(t *testing.T) {
	for line, want := range map[string]bool{
		"/usr/bin/containerd-shim-runc-v2 -namespace n -id web -address /run/containerd/containerd.sock": true,
		"/usr/bin/containerd-shim-runc-v2 -namespace n -id web2 -address x":                              false,
		"/usr/bin/containerd-shim-runc-v2 -namespace other -id web":                                      false,
		"/usr/bin/containerd-shim-runc-v2 -namespace n -id":                                              false,
		"/usr/bin/other -namespace n -id web":                                                            false,
		"":                                                                                               false,
	} {
		cmdline := strings.ReplaceAll(line, " ", "\x00") + "\x00"
		if got := isShimOf([]byte(cmdline), "n", "web"); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}
