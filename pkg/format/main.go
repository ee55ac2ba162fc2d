// Command format creates a partition and a file system on an empty disk: the given one, or the
// first of the machine. It never touches a disk with data unless the disk is given with -force. The
// flags are LinuxKit's.
package main

import (
	"flag"
	"fmt"
	"os"

	"lkt/storage/disk"
	"lkt/storage/reader"
)

func main() {
	reader.Serve()
	var r request
	flag.BoolVar(&r.force, "force", false, "format the given disk even if it has data")
	flag.StringVar(&r.label, "label", "", "`label` of the file system")
	flag.StringVar(&r.kind, "type", "ext4", "`type` of the file system: ext4, xfs or btrfs")
	flag.StringVar(&r.table, "partition", "dos", "partition `table`: dos or gpt")
	verbose := flag.Bool("verbose", false, "print which disks were checked")
	flag.Parse()
	r.drive = flag.Arg(0)

	c := chooser{dirs: disk.SystemDirs, note: func(string, ...any) {}}
	if *verbose {
		c.note = report
	}
	err := fmt.Errorf("expected at most one disk, got %d", flag.NArg())
	if flag.NArg() <= 1 {
		c.prober, err = reader.Start()
	}
	if err == nil {
		err = run(c, r)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "format: %v\n", err)
		os.Exit(1)
	}
}

func report(format string, arguments ...any) {
	fmt.Printf("format: "+format+"\n", arguments...)
}

// run does nothing if the file system already exists, so that it may run at every boot.
func run(c chooser, r request) error {
	if err := r.check(); err != nil {
		return err
	}
	target, err := c.choose(r)
	if err != nil {
		return err
	}
	if target.drive == nil {
		report("%s already has %s", target.existing, r)
		return nil
	}
	return prepare(target.drive, r)
}
