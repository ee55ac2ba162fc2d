// Command extend grows the only partition of a disk, and its file system, to the end of the disk.
// The arguments are LinuxKit's.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	"lkt/storage/disk"
	"lkt/storage/reader"
	"lkt/storage/table"
)

func main() {
	reader.Serve()
	kind := flag.String("type", "ext4", "`type` of the file system: ext4, xfs or btrfs")
	stop := flag.Bool("stop-on-error", true, "stop at the first failure; only if no disk is given")
	flag.Parse()
	parser, err := reader.Start()
	if err == nil {
		err = run(parser, disk.SystemDirs, *kind, *stop, flag.Args())
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "extend: %v\n", err)
		os.Exit(1)
	}
}

func report(format string, arguments ...any) {
	fmt.Printf("extend: "+format+"\n", arguments...)
}

// errSkip is the reason for skipping a disk that was not given by name.
var errSkip = errors.New("skipped")

func run(p reader.Parser, dirs disk.Dirs, kind string, stop bool, named []string) error {
	if _, known := growers[kind]; !known {
		return fmt.Errorf("unsupported file system type %q: must be ext4, xfs or btrfs", kind)
	}
	for _, path := range named {
		if err := disk.IsBlockDevice(path); err != nil {
			return err
		}
		if err := extend(p, path, kind); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if len(named) > 0 {
		return nil
	}
	drives, err := dirs.Drives()
	if err != nil {
		return err
	}
	for _, path := range drives {
		err := extend(p, path, kind)
		if errors.Is(err, errSkip) || errors.Is(err, table.ErrNone) || err != nil && !stop {
			report("%s: %v", path, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}
