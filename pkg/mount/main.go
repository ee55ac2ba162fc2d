// Command mountie mounts a file system by device, label or UUID, or the first one of the machine
// that is not in use. The arguments are LinuxKit's.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"lkt/storage/disk"
	"lkt/storage/reader"
)

// waitTimeout is how long a device may take to appear.
const waitTimeout = 10 * time.Second

func main() {
	reader.Serve()
	var w query
	flag.StringVar(&w.device, "device", "", "`device` to mount")
	flag.StringVar(&w.label, "label", "", "`label` of the file system to mount")
	flag.StringVar(&w.uuid, "uuid", "", "`uuid` of the file system to mount")
	limit := flag.Uint("check", uint(checkTime.Seconds()), "`seconds` for a check of an ext file system, 0 for none")
	flag.Parse()

	var point string
	switch flag.NArg() {
	case 1:
		point = flag.Arg(0)
	case 2:
		w.device, point = flag.Arg(0), flag.Arg(1)
	default:
		fail(fmt.Errorf("usage: mountie [-check SECONDS] [-device DEVICE | -label LABEL | -uuid UUID] [DEVICE] DIRECTORY"))
	}
	parser, err := reader.Start()
	if err != nil {
		fail(err)
	}
	source, err := wait(parser, disk.SystemDirs, w, waitTimeout)
	if err != nil {
		fail(err)
	}
	if err := source.check(time.Duration(min(*limit, 86_400)) * time.Second); err != nil {
		fail(err)
	}
	if err := source.mount(point); err != nil {
		fail(err)
	}
	// Not fatal: only programs that use the links notice.
	if err := link(parser, disk.SystemDirs); err != nil {
		fmt.Fprintf(os.Stderr, "mountie: create links: %v\n", err)
	}
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "mountie: %v\n", err)
	os.Exit(1)
}
