package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"
)

// stepsPath lists the steps of a clock that had been set before. It is on the machine's /run: a
// restart of this program keeps it, and a boot removes it.
const stepsPath = "/run/ntp/steps"

// maxSteps is the size of a list of more steps than -max-step allows.
const maxSteps = 1 << 16

// openSteps opens the list for more, and returns the sum of its steps. Without its directory, which
// a config of its own binds may lack, there is no list.
func openSteps(path string) (list *os.File, sum time.Duration, err error) {
	list, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	sum, err = readSteps(list)
	if err != nil {
		list.Close()
		return nil, 0, fmt.Errorf("%s: %w", path, err)
	}
	return list, sum, nil
}

// readSteps returns the sum of the lengths of the steps, one in each line.
func readSteps(list io.Reader) (sum time.Duration, err error) {
	text, err := io.ReadAll(io.LimitReader(list, maxSteps+1))
	if err != nil {
		return 0, err
	}
	if len(text) > maxSteps {
		return 0, errors.New("it is too long")
	}
	for line := range strings.Lines(string(text)) {
		step, err := time.ParseDuration(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return 0, err
		}
		if sum += step.Abs(); sum < 0 {
			return 0, errors.New("its sum is too large")
		}
	}
	return sum, nil
}

// recorder returns a function that adds a step to the list with this descriptor, if any.
func recorder(descriptor int) func(time.Duration) error {
	if descriptor == 0 {
		return func(time.Duration) error { return nil }
	}
	return func(step time.Duration) error {
		if _, err := syscall.Write(descriptor, fmt.Appendln(nil, step)); err != nil {
			return fmt.Errorf("%s: %w", stepsPath, err)
		}
		return nil
	}
}
