// Command loopy attaches a file to a loop device. The arguments are LinuxKit's.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"lkt/storage/loop"
)

func main() {
	var r request
	for _, name := range []string{"c", "create"} {
		flag.BoolVar(&r.create, name, false, "create the file if it does not exist")
	}
	for _, name := range []string{"s", "size"} {
		flag.Int64Var(&r.size, name, 10, "`size` of a created file in MiB")
	}
	for _, name := range []string{"d", "dev"} {
		flag.StringVar(&r.device, name, "/dev/loop0", "loop `device`")
	}
	flag.Parse()
	r.file = flag.Arg(0)

	err := errors.New("usage: loopy [-c|--create] [-s|--size MIB] [-d|--dev DEVICE] FILE")
	if flag.NArg() == 1 {
		err = run(r)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "loopy: %v\n", err)
		os.Exit(1)
	}
	fmt.Printf("loopy: %s is attached to %s\n", r.file, r.device)
}

type request struct {
	file, device string
	create       bool
	size         int64 // MiB
}

func run(r request) error {
	if _, err := loop.Number(r.device); err != nil {
		return err
	}
	file, err := open(r)
	if err != nil {
		return err
	}
	defer file.Close()
	return loop.Attach(r.device, file)
}

// open opens an existing regular file, or creates one filled with zeros.
func open(r request) (*os.File, error) {
	file, err := os.OpenFile(r.file, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if r.create && errors.Is(err, os.ErrNotExist) {
		return create(r)
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w\n  fix: use --create to create it", err)
	}
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		file.Close()
		return nil, fmt.Errorf("%s is not a regular file", r.file)
	}
	return file, nil
}

func create(r request) (*os.File, error) {
	if r.size < 1 || r.size > 1<<40 {
		return nil, fmt.Errorf("invalid size: %d MiB", r.size)
	}
	file, err := os.OpenFile(r.file, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	// Allocate all blocks now: a loop device cannot report that the underlying file system is full.
	if err := unix.Fallocate(int(file.Fd()), 0, 0, r.size<<20); err != nil {
		file.Close()
		return nil, errors.Join(fmt.Errorf("allocate %s with %d MiB: %w", r.file, r.size, err), os.Remove(r.file))
	}
	return file, nil
}
