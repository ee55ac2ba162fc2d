package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/log"
	"github.com/pelletier/go-toml"
	"golang.org/x/sys/unix"
)

const (
	// optionsPath has options of containerd, as in LinuxKit.
	optionsPath = "/etc/containerd/runtime-config.toml"
	programPath = "/usr/bin/containerd"
	// defaultLevel is the log level: at a lower one every plugin logs a line.
	defaultLevel = "warn"
)

// options are those of a runtime-config.toml.
type options struct {
	Arguments string `toml:"cliopts"`
	Stdout    string `toml:"stdout"`
	Stderr    string `toml:"stderr"`
}

// loadOptions returns the options in a file, and none if it does not exist.
func loadOptions(path string) (options, error) {
	var o options
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return o, nil
	}
	if err == nil {
		err = toml.Unmarshal(text, &o)
	}
	if err != nil {
		return options{}, fmt.Errorf("%s: %w", path, err)
	}
	return o, nil
}

// arguments returns the arguments of containerd, separated by white space, as LinuxKit does.
func (o options) arguments() []string { return strings.Fields(o.Arguments) }

// redirect appends the output of this process to the files that the options name.
func (o options) redirect() error {
	for descriptor, target := range map[int]string{1: o.Stdout, 2: o.Stderr} {
		switch {
		case target == "", target == "stdout", target == "stderr": // both are the log of containerd
		case filepath.IsAbs(target):
			if err := appendTo(target, descriptor); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s: %q is neither stdout, stderr nor an absolute path", optionsPath, target)
		}
	}
	return nil
}

func appendTo(path string, descriptor int) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	return unix.Dup3(int(file.Fd()), descriptor, 0)
}

// setLevel sets the log level that arguments of containerd name. It returns an error for a level
// that does not exist, and the arguments that have no effect.
func setLevel(args []string) (ignored []string, err error) {
	level := defaultLevel
	for i := 0; i < len(args); i++ {
		name, value, isSet := strings.Cut(args[i], "=")
		if name != "--log-level" && name != "-log-level" && name != "-l" {
			ignored = append(ignored, args[i])
			continue
		}
		if !isSet && i+1 < len(args) {
			i++
			value = args[i]
		}
		level = value
	}
	if err = log.SetLevel(level); err != nil {
		_ = log.SetLevel(defaultLevel)
	}
	return ignored, err
}
