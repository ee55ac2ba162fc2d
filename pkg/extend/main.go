// Command extend lets the only partition of a disk, and the file system in it, grow to the end of the disk. LinuxKit's arguments.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	"lkt/storage/disk"
	"lkt/storage/table"
)

func main() {
	kind := flag.String("type", "ext4", "file system: ext4 or xfs")
	stop := flag.Bool("stop-on-error", true, "leave the other disks alone when one fails; only without a name")
	flag.Parse()
	if err := run(disk.Machine, *kind, *stop, flag.Args()); err != nil {
		fmt.Fprintf(os.Stderr, "extend: %v\n", err)
		os.Exit(1)
	}
}

func say(format string, arguments ...any) {
	fmt.Printf("extend: "+format+"\n", arguments...)
}

// errSkip says why a disk that nobody has named is passed over.
var errSkip = errors.New("left alone")

func run(places disk.Places, kind string, stop bool, named []string) error {
	if _, known := growers[kind]; !known {
		return fmt.Errorf("file systems of type %q do not grow here: ext4 or xfs", kind)
	}
	for _, path := range named {
		if err := disk.IsBlockDevice(path); err != nil {
			return err
		}
		if err := extend(path, kind); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if len(named) > 0 {
		return nil
	}
	drives, err := places.Drives()
	if err != nil {
		return err
	}
	for _, path := range drives {
		err := extend(path, kind)
		if errors.Is(err, errSkip) || errors.Is(err, table.ErrNone) || err != nil && !stop {
			say("%s: %v", path, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}
