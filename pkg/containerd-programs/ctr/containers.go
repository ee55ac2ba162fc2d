package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/containerd/containerd"
	"github.com/containerd/containerd/cio"
	"github.com/containerd/containerd/cmd/ctr/commands"
	"github.com/containerd/containerd/errdefs"
	"github.com/containerd/typeurl/v2"
	"github.com/urfave/cli"
)

// containersCommand lacks ctr's "create", which grants privileges of its own; "run" creates
// containers.
var containersCommand = cli.Command{
	Name: "containers", Aliases: []string{"c", "container"}, Usage: "manage containers",
	Subcommands: []cli.Command{
		{
			Name: "list", Aliases: []string{"ls"}, Usage: "list containers", ArgsUsage: "[flags] [FILTER...]",
			Flags:  []cli.Flag{cli.BoolFlag{Name: "quiet, q", Usage: "print only the IDs"}},
			Action: listContainers,
		},
		{
			Name: "info", Usage: "print a container as JSON", ArgsUsage: "[flags] ID",
			Flags:  []cli.Flag{cli.BoolFlag{Name: "spec", Usage: "print only the OCI runtime spec"}},
			Action: showContainer,
		},
		{
			Name: "delete", Aliases: []string{"del", "remove", "rm"}, Usage: "delete stopped containers and their snapshots",
			ArgsUsage: "ID...", Action: deleteContainers,
		},
	},
}

func listContainers(c *cli.Context) error {
	client, ctx, cancel, err := commands.NewClient(c)
	if err != nil {
		return err
	}
	defer cancel()
	all, err := client.Containers(ctx, c.Args()...)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(os.Stdout, 4, 8, 4, ' ', 0)
	if !c.Bool("quiet") {
		fmt.Fprintln(table, "CONTAINER\tIMAGE\tRUNTIME\t")
	}
	for _, one := range all {
		if c.Bool("quiet") {
			fmt.Fprintln(table, one.ID())
			continue
		}
		info, err := one.Info(ctx, containerd.WithoutRefreshedMetadata)
		if err != nil {
			return err
		}
		image := info.Image
		if image == "" {
			image = "-"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t\n", one.ID(), image, info.Runtime.Name)
	}
	return table.Flush()
}

func showContainer(c *cli.Context) error {
	client, ctx, cancel, err := commands.NewClient(c)
	if err != nil {
		return err
	}
	defer cancel()
	container, err := client.LoadContainer(ctx, c.Args().First())
	if err != nil {
		return err
	}
	info, err := container.Info(ctx, containerd.WithoutRefreshedMetadata)
	if err != nil {
		return err
	}
	spec, err := typeurl.UnmarshalAny(info.Spec)
	if err != nil {
		return err
	}
	if c.Bool("spec") {
		commands.PrintAsJSON(spec)
		return nil
	}
	info.Spec = nil
	commands.PrintAsJSON(map[string]any{"container": info, "spec": spec})
	return nil
}

func deleteContainers(c *cli.Context) error {
	if c.NArg() == 0 {
		return errors.New("delete needs a container ID")
	}
	client, ctx, cancel, err := commands.NewClient(c)
	if err != nil {
		return err
	}
	defer cancel()
	var failed []error
	for _, id := range c.Args() {
		if err := deleteContainer(ctx, client, id); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// deleteContainer deletes a stopped container and its snapshot. It fails if the container runs;
// "task kill" stops it.
func deleteContainer(ctx context.Context, client *containerd.Client, id string) error {
	container, err := client.LoadContainer(ctx, id)
	if err != nil {
		return err
	}
	task, err := container.Task(ctx, cio.Load)
	if err == nil {
		_, err = task.Delete(ctx)
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	return container.Delete(ctx, containerd.WithSnapshotCleanup)
}
