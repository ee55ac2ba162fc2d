// Command fstrim tells disks regularly which blocks their file systems do not use. It accepts the
// arguments of LinuxKit's trim-after-delete, but does not ask Docker what it deletes. See
// docs/guest.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

func main() {
	o, err := parse(os.Args)
	if err == nil {
		err = run(o, trim, time.Sleep)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "fstrim: error: %v\n", err)
		os.Exit(1)
	}
}

type options struct {
	isOnce   bool
	interval time.Duration
	paths    []string
}

// defaultPath is the only directory that the package binds.
const defaultPath = "/var"

func parse(args []string) (options, error) {
	o := options{interval: time.Hour, paths: []string{defaultPath}}
	flags := flag.NewFlagSet(filepath.Base(args[0]), flag.ContinueOnError)
	flags.BoolVar(&o.isOnce, "1", false, "trim once, and exit")
	flags.DurationVar(&o.interval, "interval", o.interval, "`time` between two runs")
	isLinuxKits := flags.Name() == "trim-after-delete"
	if isLinuxKits {
		flags.String("docker-socket", "", "no effect: Docker is not asked at this `path`")
		flags.Duration("delay", 0, "no effect: see -interval `time`")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return o, err
	}
	paths := flags.Args()
	if isLinuxKits && len(paths) > 0 {
		if filepath.Base(paths[0]) != "fstrim" {
			return o, fmt.Errorf("cannot run %s\n  fix: use /sbin/fstrim DIRECTORY", paths[0])
		}
		paths = paths[1:]
	}
	if len(paths) > 0 {
		o.paths = paths
	}
	for _, path := range o.paths {
		if strings.HasPrefix(path, "-") || !filepath.IsAbs(path) {
			return o, fmt.Errorf("%q is not an absolute path\n  fix: fstrim [-1] [-interval 1h] DIRECTORY …", path)
		}
	}
	if o.interval < time.Minute {
		return o, fmt.Errorf("the interval %v is below a minute", o.interval)
	}
	return o, nil
}

// run trims the file systems, once or forever. A file system without support is an error only at
// the first time: the disk cannot learn it later.
func run(o options, trim func(path string) (uint64, error), sleep func(time.Duration)) error {
	for isFirst := true; ; isFirst = false {
		for _, path := range o.paths {
			bytes, err := trim(path)
			switch {
			case errors.Is(err, syscall.EOPNOTSUPP):
				return fmt.Errorf("%s: the disk or its file system does not support discard: %w", path, err)
			case err != nil && (isFirst || o.isOnce):
				return fmt.Errorf("%s: %w", path, err)
			case err != nil:
				fmt.Fprintf(os.Stderr, "fstrim: %s: %v\n", path, err)
			default:
				fmt.Printf("fstrim: %s: %d bytes trimmed\n", path, bytes)
			}
		}
		if o.isOnce {
			return nil
		}
		sleep(o.interval)
	}
}

// fitrim is the request FITRIM of ioctl(2).
const fitrim = 0xc0185879

// trim discards the unused blocks of the file system that is mounted at path.
func trim(path string) (bytes uint64, err error) {
	dir, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("open", err)
	}
	defer syscall.Close(dir)
	// struct fstrim_range
	extent := struct{ start, length, minimum uint64 }{length: math.MaxUint64}
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(dir), fitrim, uintptr(unsafe.Pointer(&extent)))
	if errno != 0 {
		return 0, os.NewSyscallError("FITRIM", errno)
	}
	return extent.length, nil
}
