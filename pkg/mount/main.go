// Command mountie mounts a file system: that of a device, a label or a UUID, or the first of the machine that is not in use.
// LinuxKit's arguments.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"lkt/storage/disk"
)

// patience is how long a device may take to appear.
const patience = 10 * time.Second

func main() {
	var w wanted
	flag.StringVar(&w.device, "device", "", "device to mount")
	flag.StringVar(&w.label, "label", "", "label of the file system to mount")
	flag.StringVar(&w.uuid, "uuid", "", "UUID of the file system to mount")
	flag.Parse()

	var point string
	switch flag.NArg() {
	case 1:
		point = flag.Arg(0)
	case 2:
		w.device, point = flag.Arg(0), flag.Arg(1)
	default:
		fail(fmt.Errorf("mountie [-device DEVICE | -label LABEL | -uuid UUID] [DEVICE] DIRECTORY"))
	}
	source, err := wait(disk.Machine, w, patience)
	if err != nil {
		fail(err)
	}
	if err := source.mount(point); err != nil {
		fail(err)
	}
	// Only who looks for a link misses one.
	if err := link(disk.Machine); err != nil {
		fmt.Fprintf(os.Stderr, "mountie: links to the devices: %v\n", err)
	}
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "mountie: %v\n", err)
	os.Exit(1)
}
