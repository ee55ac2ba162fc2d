// Command format makes one partition and a file system on an empty disk: the one that is named, or the first of the machine. A
// disk with anything on it is left alone, unless it is named and -force is there. LinuxKit's flags.
package main

import (
	"flag"
	"fmt"
	"os"

	"lkt/storage/disk"
)

func main() {
	var r request
	flag.BoolVar(&r.force, "force", false, "format the disk that is named, whatever is on it")
	flag.StringVar(&r.label, "label", "", "label of the file system")
	flag.StringVar(&r.kind, "type", "ext4", "file system: ext4 or xfs")
	flag.StringVar(&r.table, "partition", "dos", "partition table: dos or gpt")
	verbose := flag.Bool("verbose", false, "say which disks were looked at")
	flag.Parse()
	r.drive = flag.Arg(0)

	c := chooser{places: disk.Machine, note: func(string, ...any) {}}
	if *verbose {
		c.note = say
	}
	err := fmt.Errorf("one disk can be named, not %d", flag.NArg())
	if flag.NArg() <= 1 {
		err = run(c, r)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "format: %v\n", err)
		os.Exit(1)
	}
}

func say(format string, arguments ...any) {
	fmt.Printf("format: "+format+"\n", arguments...)
}

// run does nothing where what is asked for is there already, so that a machine can ask at every boot.
func run(c chooser, r request) error {
	if err := r.check(); err != nil {
		return err
	}
	target, err := c.choose(r)
	if err != nil {
		return err
	}
	if target.drive == nil {
		say("%s has %s already", target.there, r)
		return nil
	}
	return prepare(target.drive, r)
}
