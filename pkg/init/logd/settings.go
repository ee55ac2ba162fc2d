// Package logd is the log daemon. It keeps the output of containers within limits, in files that
// package logs reads. It also passes it to clients of LinuxKit's memlogd, to the console and to a
// syslog server.
package logd

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
)

const (
	// settingsPath is a file of the image. The same settings on the kernel command line, with
	// settingsPrefix, override it.
	settingsPath   = "/etc/lkt/logs.conf"
	settingsPrefix = "lkt.logs."
)

// Settings are the limits of logs, and their destinations besides files.
type Settings struct {
	// Size limits the bytes in the files of a source, Total those of all sources.
	Size, Total int64
	// Rate limits the bytes a second of a source; bursts of up to Size bytes may exceed it.
	Rate int64
	// Console says whose lines are on the console too.
	Console Console
	// Network ("udp" or "tcp") and Address of a syslog server. Both are empty without one.
	Network, Address string
}

// Console is a choice of containers by their output.
type Console string

const (
	// ConsoleFailures has the end of the log of a failed container, which PID 1 writes.
	ConsoleFailures Console = "failures"
	// ConsoleOnboot also has all output of onboot and onshutdown containers, as LinuxKit shows it.
	ConsoleOnboot Console = "onboot"
	// ConsoleAll has all output of all containers.
	ConsoleAll Console = "all"
)

// ShowsOutput reports whether each line of a source is written to the console.
func (s Settings) ShowsOutput(source string) bool {
	switch s.Console {
	case ConsoleAll:
		return true
	case ConsoleOnboot:
		return strings.HasPrefix(source, "onboot.") || strings.HasPrefix(source, "onshutdown.")
	}
	return false
}

// Port returns the port of the syslog server, or 0 without one.
func (s Settings) Port() uint16 {
	_, port, _ := net.SplitHostPort(s.Address)
	number, _ := strconv.ParseUint(port, 10, 16)
	return uint16(number)
}

func defaults() Settings {
	return Settings{Size: 1 << 20, Total: 16 << 20, Rate: 256 << 10, Console: ConsoleOnboot}
}

// loadSettings reads the file at path, if it exists, and the kernel command line. It skips invalid
// settings and returns them as errors: a machine with a mistake in its settings still has logs.
func loadSettings(path, cmdline string) (Settings, []error) {
	s := defaults()
	var problems []error
	set := func(where, name, value string) {
		if err := s.set(name, value); err != nil {
			problems = append(problems, fmt.Errorf("%s: %s: %w", where, name, err))
		}
	}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		problems = append(problems, err)
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, found := strings.Cut(line, "=")
		if !found {
			problems = append(problems, fmt.Errorf("%s: expected NAME = VALUE, got %.80q", path, line))
			continue
		}
		set(path, strings.TrimSpace(name), strings.TrimSpace(value))
	}
	for _, word := range strings.Fields(cmdline) {
		if name, value, found := strings.Cut(word, "="); found && strings.HasPrefix(name, settingsPrefix) {
			set("kernel command line", strings.TrimPrefix(name, settingsPrefix), value)
		}
	}
	if s.Total < s.Size {
		s.Total = s.Size
	}
	return s, problems
}

func (s *Settings) set(name, value string) (err error) {
	switch name {
	case "size":
		err = setBytes(&s.Size, value, 64<<10)
	case "total":
		err = setBytes(&s.Total, value, 64<<10)
	case "rate":
		err = setBytes(&s.Rate, value, 1<<10)
	case "console":
		choice := Console(value)
		if choice != ConsoleAll && choice != ConsoleOnboot && choice != ConsoleFailures {
			return fmt.Errorf("invalid value %.80q: must be \"all\", \"onboot\" or \"failures\"", value)
		}
		s.Console = choice
	case "syslog":
		return s.setSyslog(value)
	default:
		return errors.New("unknown setting")
	}
	return err
}

func setBytes(to *int64, text string, minimum int64) error {
	digits, factor := text, int64(1)
	if text != "" {
		switch text[len(text)-1] {
		case 'K', 'k':
			digits, factor = text[:len(text)-1], 1<<10
		case 'M', 'm':
			digits, factor = text[:len(text)-1], 1<<20
		}
	}
	number, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || number < 0 {
		return fmt.Errorf("invalid size %.80q: must be like 512K or 1M", text)
	}
	if number*factor < minimum {
		return fmt.Errorf("%s is below the minimum %d", text, minimum)
	}
	*to = number * factor
	return nil
}

func (s *Settings) setSyslog(value string) error {
	network, address, found := strings.Cut(value, "://")
	if !found || network != "udp" && network != "tcp" {
		return fmt.Errorf("invalid server %.80q: must be udp://HOST:PORT or tcp://HOST:PORT", value)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil { // without a port: the default of the protocol
		host, port = strings.Trim(address, "[]"), "514"
		if network == "tcp" {
			port = "601"
		}
	}
	if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 || host == "" {
		return fmt.Errorf("invalid server %.80q: no host or no valid port", value)
	}
	s.Network, s.Address = network, net.JoinHostPort(host, port)
	return nil
}
