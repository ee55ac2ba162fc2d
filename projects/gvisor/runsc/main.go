// Command runc starts the runtime that a container asks for, with the arguments that containerd and
// PID 1 give runc: gVisor's runsc for the class "gvisor", else runc.
package main

import (
	"fmt"
	"os"
	"syscall"
)

func main() {
	path, args, err := runtimeOf(os.Args[1:])
	if err == nil {
		err = &os.PathError{Op: "execute", Path: path, Err: syscall.Exec(path, args, os.Environ())}
	}
	fmt.Fprintf(os.Stderr, "runc: %v\n", err)
	os.Exit(1)
}
