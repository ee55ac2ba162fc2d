// Command probe inspects a running guest from inside, and prints the results of its checks to the
// console in TAP. Lines that start with "# " are facts for the test outside.
package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// The host's root file system in the probe's container.
const host = "/host"

type report struct {
	out   io.Writer
	count int
}

func (r *report) check(what string, problem string) {
	r.count++
	if problem == "" {
		fmt.Fprintf(r.out, "ok %d - %s\r\n", r.count, what)
	} else {
		fmt.Fprintf(r.out, "not ok %d - %s # %s\r\n", r.count, what, problem)
	}
}

func (r *report) fact(format string, args ...any) {
	fmt.Fprintf(r.out, "# "+format+"\r\n", args...)
}

func main() {
	console, err := os.OpenFile("/dev/console", os.O_WRONLY, 0)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// Services start concurrently: wait for those to inspect.
	time.Sleep(3 * time.Second)
	r := &report{out: console}
	fmt.Fprint(r.out, "=== PROBE\r\n")
	checkRoot(r)
	checkMounts(r)
	checkFiles(r)
	checkSysctls(r)
	checkKernel(r)
	checkSockets(r)
	checkProcesses(r)
	checkSandboxed(r)
	memory(r)
	fmt.Fprintf(r.out, "1..%d\r\n=== END\r\n", r.count)
}
