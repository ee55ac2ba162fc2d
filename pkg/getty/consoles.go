package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// consoles returns the consoles of the kernel: all console= parameters of its command line.
func consoles(cmdline string) []string {
	var names []string
	for _, word := range strings.Fields(cmdline) {
		value, found := strings.CutPrefix(word, "console=")
		if !found {
			continue
		}
		name, _, _ := strings.Cut(value, ",")
		if name == "tty0" { // the virtual console in the foreground
			name = "tty1"
		}
		if isDevice(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func isDevice(name string) bool {
	if name == "" || name == "null" {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9')
	})
}

func usable(name string) bool {
	file, err := os.OpenFile(devices+name, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		fmt.Fprintf(os.Stderr, "getty: %v\n", err)
		return false
	}
	file.Close()
	return true
}

// terminal returns the TERM of a console.
func terminal(name string) string {
	if strings.HasPrefix(name, "ttyS") || strings.HasPrefix(name, "ttyA") || strings.HasPrefix(name, "hvc") {
		return "vt102"
	}
	return "linux"
}
