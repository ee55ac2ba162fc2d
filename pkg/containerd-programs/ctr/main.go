// Command ctr is containerd's own tool without the commands that mount, and with another "run". Its
// containers have the privileges of a service of the image instead of Docker's defaults.
package main

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/containerd/containerd/cmd/ctr/commands/content"
	"github.com/containerd/containerd/cmd/ctr/commands/events"
	"github.com/containerd/containerd/cmd/ctr/commands/images"
	"github.com/containerd/containerd/cmd/ctr/commands/info"
	"github.com/containerd/containerd/cmd/ctr/commands/leases"
	namespacesCommand "github.com/containerd/containerd/cmd/ctr/commands/namespaces"
	"github.com/containerd/containerd/cmd/ctr/commands/plugins"
	"github.com/containerd/containerd/cmd/ctr/commands/snapshots"
	"github.com/containerd/containerd/cmd/ctr/commands/tasks"
	versionCommand "github.com/containerd/containerd/cmd/ctr/commands/version"
	"github.com/containerd/containerd/defaults"
	"github.com/containerd/containerd/namespaces"
	"github.com/containerd/containerd/version"
	"github.com/urfave/cli"
	"google.golang.org/grpc/grpclog"
)

func main() {
	// The error contains what gRPC would log.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	if err := app().Run(os.Args); err != nil {
		fmt.Fprintf(os.Stderr, "ctr: %s\n", err)
		os.Exit(1)
	}
}

func app() *cli.App {
	a := cli.NewApp()
	a.Name = "ctr"
	a.Usage = "manage images and containers of containerd"
	a.Version = version.Version
	a.Flags = []cli.Flag{
		cli.StringFlag{Name: "address, a", Usage: "containerd's socket", Value: defaults.DefaultAddress, EnvVar: "CONTAINERD_ADDRESS"},
		cli.DurationFlag{Name: "timeout", Usage: "timeout of a command"},
		cli.DurationFlag{Name: "connect-timeout", Usage: "timeout of the connection to containerd"},
		cli.StringFlag{
			Name: "namespace, n", Usage: "containerd namespace; the image's services are in services.linuxkit",
			Value: namespaces.Default, EnvVar: namespaces.NamespaceEnvVar,
		},
	}
	a.Commands = []cli.Command{
		containersCommand, content.Command, events.Command, imagesCommand(), info.Command, leases.Command,
		namespacesCommand.Command, plugins.Command, runCommand, snapshots.Command, tasks.Command, versionCommand.Command,
	}
	return a
}

// imagesCommand returns ctr's "images" without the subcommands that mount, which a login must not
// do.
func imagesCommand() cli.Command {
	command := images.Command
	command.Subcommands = slices.DeleteFunc(slices.Clone(command.Subcommands), func(c cli.Command) bool {
		return c.Name == "mount" || c.Name == "unmount"
	})
	return command
}
