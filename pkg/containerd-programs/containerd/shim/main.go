// Command containerd-shim-runc-v2 is the process between containerd and a container run by runc. It
// lets containerd restart without stopping the container.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/containerd/containerd/runtime/v2/runc/manager"
	_ "github.com/containerd/containerd/runtime/v2/runc/task/plugin"
	"github.com/containerd/containerd/runtime/v2/shim"
	"github.com/containerd/log"
)

func main() {
	// At a lower level every plugin of every container logs a line to containerd's log.
	if err := log.SetLevel("warn"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	shim.RunManager(context.Background(), manager.NewShimManager("io.containerd.runc.v2"))
}
