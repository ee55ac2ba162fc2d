// Command containerd-shim-runc-v2 stands between containerd and one container under runc, so that containerd can end and
// come back without the container noticing.
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
	// Else every plugin of every container writes a line into containerd's log.
	if err := log.SetLevel("warn"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	shim.RunManager(context.Background(), manager.NewShimManager("io.containerd.runc.v2"))
}
