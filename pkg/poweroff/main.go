// Command poweroff makes PID 1 power off or reboot instead after a delay. See docs/guest.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// defaultDelay is the delay of LinuxKit's poweroff.
const defaultDelay = 30 * time.Second

func main() {
	delay, signal, err := parse(os.Args)
	if err == nil {
		time.Sleep(delay)
		err = syscall.Kill(1, signal)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "poweroff: error: %v\n", err)
		os.Exit(1)
	}
}

// parse returns the delay and the signal for PID 1, which is the same for LinuxKit's init and
// lkt's.
func parse(args []string) (delay time.Duration, signal syscall.Signal, err error) {
	// LinuxKit's tests call it as /bin/sh /poweroff.sh 10.
	if filepath.Base(args[0]) == "sh" {
		if len(args) < 2 || args[1] != "/poweroff.sh" {
			return 0, 0, errors.New("not a shell: only /poweroff.sh is supported")
		}
		args = args[1:]
	}
	flags := flag.NewFlagSet("poweroff", flag.ContinueOnError)
	reboot := flags.Bool("reboot", false, "reboot instead")
	halt := flags.Bool("halt", false, "halt without powering off")
	if err := flags.Parse(args[1:]); err != nil {
		return 0, 0, err
	}
	delay, signal = defaultDelay, syscall.SIGUSR2
	switch {
	case *reboot && *halt:
		return 0, 0, errors.New("-reboot and -halt exclude each other")
	case *reboot:
		signal = syscall.SIGINT
	case *halt:
		signal = syscall.SIGUSR1
	}
	if flags.NArg() > 1 {
		return 0, 0, errors.New("usage: poweroff [-reboot|-halt] [SECONDS]")
	}
	if flags.NArg() == 1 {
		seconds, err := strconv.ParseFloat(flags.Arg(0), 64)
		if err != nil || !(seconds >= 0 && seconds <= math.MaxInt64/2/float64(time.Second)) {
			return 0, 0, fmt.Errorf("invalid number of seconds %q", flags.Arg(0))
		}
		delay = time.Duration(seconds * float64(time.Second))
	}
	return delay, signal, nil
}
