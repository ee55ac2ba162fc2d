// Package logd keeps what the containers of a machine write: within bounds, in files that package logs reads, for clients of
// LinuxKit's memlogd, on the console and at a syslog server.
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
	// settingsPath is in the image, settingsPrefix is what the same names have on the kernel's command line, which wins.
	settingsPath   = "/etc/lkt/logs.conf"
	settingsPrefix = "lkt.logs."
)

// Settings are bounds, and where lines go besides to their files.
type Settings struct {
	// Size is how many bytes of files a source has at most, Total how many all have.
	Size, Total int64
	// Rate is how many bytes a second a source may write for long. Size of them may come at once.
	Rate int64
	// Console: each line goes to the console.
	Console bool
	// Network ("udp" or "tcp") and Address are those of a syslog server. Without one both are empty.
	Network, Address string
}

func defaults() Settings { return Settings{Size: 1 << 20, Total: 16 << 20, Rate: 256 << 10} }

// loadSettings reads the file at path, if there is one, and the words of the kernel's command line. What is wrong is left
// out: a machine with a mistake in its settings has logs.
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
			problems = append(problems, fmt.Errorf("%s: not NAME = VALUE: %.80q", path, line))
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
		if value != "all" && value != "failures" {
			return fmt.Errorf("%.80q is neither \"all\" nor \"failures\"", value)
		}
		s.Console = value == "all"
	case "syslog":
		return s.setSyslog(value)
	default:
		return errors.New("there is no such setting")
	}
	return err
}

func setBytes(to *int64, text string, least int64) error {
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
		return fmt.Errorf("%.80q is no size such as 512K or 1M", text)
	}
	if number*factor < least {
		return fmt.Errorf("%s is less than %d", text, least)
	}
	*to = number * factor
	return nil
}

func (s *Settings) setSyslog(value string) error {
	network, address, found := strings.Cut(value, "://")
	if !found || network != "udp" && network != "tcp" {
		return fmt.Errorf("%.80q is neither udp://HOST:PORT nor tcp://HOST:PORT", value)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil { // no port: that of syslog
		host, port = strings.Trim(address, "[]"), "514"
		if network == "tcp" {
			port = "601"
		}
	}
	if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 || host == "" {
		return fmt.Errorf("%.80q has no host, or a port that is none", value)
	}
	s.Network, s.Address = network, net.JoinHostPort(host, port)
	return nil
}
