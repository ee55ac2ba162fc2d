// Command poweroff asks PID 1 to power the machine off, or to restart it, after a time. See docs/guest.md.
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

// usual is the time of LinuxKit's poweroff.
const usual = 30 * time.Second

func main() {
	after, ask, err := parse(os.Args)
	if err == nil {
		time.Sleep(after)
		err = syscall.Kill(1, ask)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "poweroff: error: %v\n", err)
		os.Exit(1)
	}
}

// parse gives how long to wait and the signal by which PID 1 goes down: the same for LinuxKit's as for lkt's.
func parse(args []string) (after time.Duration, ask syscall.Signal, err error) {
	// As LinuxKit's tests call it: /bin/sh /poweroff.sh 10.
	if filepath.Base(args[0]) == "sh" {
		if len(args) < 2 || args[1] != "/poweroff.sh" {
			return 0, 0, errors.New("this is no shell: it knows /poweroff.sh alone")
		}
		args = args[1:]
	}
	flags := flag.NewFlagSet("poweroff", flag.ContinueOnError)
	reboot := flags.Bool("reboot", false, "restart the machine")
	halt := flags.Bool("halt", false, "stop it without powering it off")
	if err := flags.Parse(args[1:]); err != nil {
		return 0, 0, err
	}
	after, ask = usual, syscall.SIGUSR2
	switch {
	case *reboot && *halt:
		return 0, 0, errors.New("-reboot and -halt cannot both be")
	case *reboot:
		ask = syscall.SIGINT
	case *halt:
		ask = syscall.SIGUSR1
	}
	if flags.NArg() > 1 {
		return 0, 0, errors.New("poweroff [-reboot|-halt] [SECONDS]")
	}
	if flags.NArg() == 1 {
		seconds, err := strconv.ParseFloat(flags.Arg(0), 64)
		if err != nil || !(seconds >= 0 && seconds <= math.MaxInt64/2/float64(time.Second)) {
			return 0, 0, fmt.Errorf("%q are no seconds", flags.Arg(0))
		}
		after = time.Duration(seconds * float64(time.Second))
	}
	return after, ask, nil
}
