// Command getty runs logins on the consoles of the machine if the image enables them: with a
// password from /hostroot/etc/getty.shadow, or a root shell without a password with INSECURE=true.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// hostShadow is a file of the image config, seen through a bind mount of the host's /etc.
	hostShadow = "/hostroot/etc/getty.shadow"
	// shadow is the target of the link /etc/shadow in this image.
	shadow = "/run/shadow"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "getty: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	program, err := login()
	if err != nil {
		return err
	}
	if program == nil {
		fmt.Println("getty: login disabled: neither INSECURE=true nor /etc/getty.shadow")
		return nil
	}
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	var found []string
	for _, name := range consoles(string(cmdline)) {
		if usable(name) {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return errors.New("no usable console")
	}
	return supervise(program, found)
}

// login returns the program to run on a console, or nil if logins are not enabled.
func login() ([]string, error) {
	if os.Getenv("INSECURE") == "true" {
		return []string{"/bin/sh", "-l"}, nil
	}
	data, err := os.ReadFile(hostShadow)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(shadow, data, 0o600); err != nil {
		return nil, err
	}
	return []string{"/bin/login"}, nil
}

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
	file, err := os.OpenFile("/dev/"+name, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		fmt.Fprintf(os.Stderr, "getty: %v\n", err)
		return false
	}
	file.Close()
	return true
}

// supervise runs the program on every console, and restarts it when it exits. As PID 1 of the
// container it also reaps orphans.
func supervise(program []string, names []string) error {
	running := map[int]string{}
	started := map[string]time.Time{}
	start := func(name string) error {
		// Limit the rate of restarts.
		time.Sleep(time.Until(started[name].Add(time.Second)))
		started[name] = time.Now()
		pid, err := onConsole(program, name)
		if err != nil {
			return err
		}
		running[pid] = name
		return nil
	}
	for _, name := range names {
		if err := start(name); err != nil {
			return err
		}
	}
	for {
		pid, err := unix.Wait4(-1, nil, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		name, found := running[pid]
		if !found {
			continue
		}
		delete(running, pid)
		if err := start(name); err != nil {
			return err
		}
	}
}

func onConsole(program []string, name string) (pid int, err error) {
	tty, err := os.OpenFile("/dev/"+name, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return 0, err
	}
	defer tty.Close()
	process, err := os.StartProcess(program[0], program, &os.ProcAttr{
		Dir:   "/",
		Env:   []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TERM=" + terminal(name)},
		Files: []*os.File{tty, tty, tty},
		Sys:   &unix.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0},
	})
	if err != nil {
		return 0, err
	}
	pid = process.Pid
	return pid, process.Release()
}

func terminal(name string) string {
	if strings.HasPrefix(name, "ttyS") || strings.HasPrefix(name, "ttyA") || strings.HasPrefix(name, "hvc") {
		return "vt102"
	}
	return "linux"
}
