package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"sync"

	"github.com/containerd/console"
	"github.com/containerd/containerd"
	"github.com/containerd/containerd/archive/compression"
	"github.com/containerd/containerd/cio"
	"github.com/containerd/containerd/cmd/ctr/commands"
	"github.com/containerd/containerd/cmd/ctr/commands/tasks"
	"github.com/containerd/containerd/content"
	"github.com/containerd/containerd/images"
	"github.com/urfave/cli"

	"lkt/users"
)

var runCommand = cli.Command{
	Name:           "run",
	Usage:          "run a pulled image, with no privileges unless flags add them",
	ArgsUsage:      "[flags] IMAGE ID [COMMAND] [ARGUMENT...]",
	SkipArgReorder: true,
	Flags: append([]cli.Flag{
		cli.BoolFlag{Name: "rm", Usage: "delete the container when it exits; not with --detach"},
		cli.BoolFlag{Name: "detach, d", Usage: "run in the background; output is discarded without --log-uri"},
		cli.BoolFlag{Name: "null-io", Usage: "empty standard input, and output discarded"},
		cli.StringFlag{Name: "log-uri", Usage: "destination of the output: file:///var/log/NAME.log"},
		cli.StringFlag{Name: "fifo-dir", Usage: "directory for the FIFOs of the standard streams"},
	}, specFlags...),
	Action: runContainer,
}

func runContainer(c *cli.Context) (err error) {
	reference, id := c.Args().First(), c.Args().Get(1)
	switch {
	case reference == "" || id == "":
		return errors.New("run needs an image and a container ID")
	case c.Bool("detach") && c.Bool("rm"):
		return errors.New("--rm cannot be combined with --detach")
	case c.Bool("detach") && c.Bool("tty"):
		return errors.New("--tty cannot be combined with --detach")
	}
	client, ctx, cancel, err := commands.NewClient(c)
	if err != nil {
		return err
	}
	defer cancel()
	container, err := create(ctx, client, c, reference, id)
	if err != nil {
		return err
	}
	clean := func() { _ = container.Delete(ctx, containerd.WithSnapshotCleanup) }
	if c.Bool("rm") {
		defer clean()
	}
	var terminal console.Console
	if c.Bool("tty") {
		if terminal, err = console.ConsoleFromFile(os.Stdin); err != nil {
			clean()
			return fmt.Errorf("--tty: %w", err)
		}
		defer func() { _ = terminal.Reset() }()
		if err := terminal.SetRaw(); err != nil {
			return err
		}
	}
	input := &input{from: os.Stdin, ended: make(chan struct{})}
	task, err := container.NewTask(ctx, output(c, terminal, input))
	if err != nil {
		clean()
		return err
	}
	if c.Bool("detach") {
		return task.Start(ctx)
	}
	go func() {
		<-input.ended
		_ = task.CloseIO(ctx, containerd.WithStdinCloser)
	}()
	return follow(ctx, task, terminal)
}

// output returns the creator of the container's standard streams, as the flags select.
func output(c *cli.Context, terminal console.Console, input io.Reader) cio.Creator {
	pipes := cio.WithFIFODir(c.String("fifo-dir"))
	switch address := c.String("log-uri"); {
	case terminal != nil:
		return cio.NewCreator(cio.WithStreams(terminal, terminal, nil), cio.WithTerminal, pipes)
	case address != "":
		return func(id string) (cio.IO, error) {
			target, err := url.Parse(address)
			if err != nil {
				return nil, fmt.Errorf("--log-uri: %w", err)
			}
			return cio.LogURI(target)(id)
		}
	case c.Bool("null-io") || c.Bool("detach"):
		return cio.NullIO
	}
	return cio.NewCreator(cio.WithStreams(input, os.Stdout, os.Stderr), pipes)
}

// input is a reader that closes ended when its source ends. The shim holds its own pipe open, so
// that it does not see the end.
type input struct {
	from  io.Reader
	ended chan struct{}
	once  sync.Once
}

func (i *input) Read(data []byte) (int, error) {
	n, err := i.from.Read(data)
	if err != nil {
		i.once.Do(func() { close(i.ended) })
	}
	return n, err
}

// follow starts a task, forwards signals or the window size to it, and waits until it exits. A
// non-zero exit status becomes an exit error of this command.
func follow(ctx context.Context, task containerd.Task, terminal console.Console) error {
	defer func() { _, _ = task.Delete(ctx, containerd.WithProcessKill) }()
	ended, err := task.Wait(ctx)
	if err != nil {
		return err
	}
	if err := task.Start(ctx); err != nil {
		return err
	}
	if terminal != nil {
		if err := tasks.HandleConsoleResize(ctx, task, terminal); err != nil {
			return err
		}
	} else {
		defer commands.StopCatch(commands.ForwardAllSignals(ctx, task))
	}
	code, _, err := (<-ended).Result()
	if err != nil {
		return err
	}
	// Delete waits until the remaining output is copied.
	if _, err := task.Delete(ctx); err != nil {
		return err
	}
	if code != 0 {
		return cli.NewExitError("", int(code))
	}
	return nil
}

func create(
	ctx context.Context, client *containerd.Client, c *cli.Context, reference, id string,
) (containerd.Container, error) {
	image, err := client.GetImage(ctx, reference)
	if err != nil {
		return nil, err
	}
	// Empty: containerd's default snapshotter.
	snapshotter := ""
	unpacked, err := image.IsUnpacked(ctx, snapshotter)
	if err != nil {
		return nil, err
	}
	if !unpacked {
		if err := image.Unpack(ctx, snapshotter); err != nil {
			return nil, err
		}
	}
	description, err := image.Spec(ctx)
	if err != nil {
		return nil, err
	}
	name := description.Config.User
	if c.String("user") != "" {
		name = c.String("user")
	}
	user, err := resolveUser(ctx, client, image, name)
	if err != nil {
		return nil, err
	}
	options, err := specOptions(c, description.Config, user)
	if err != nil {
		return nil, err
	}
	return client.NewContainer(ctx, id,
		containerd.WithImage(image),
		containerd.WithSnapshotter(snapshotter),
		containerd.WithNewSnapshot(id, image),
		containerd.WithImageStopSignal(image, "SIGTERM"),
		containerd.WithContainerLabels(commands.LabelArgs(c.StringSlice("label"))),
		containerd.WithNewSpec(options...),
	)
}

// resolveUser returns the numeric user. It reads the layers of the image only if it needs the
// accounts.
func resolveUser(ctx context.Context, client *containerd.Client, image containerd.Image, name string) (users.User, error) {
	if !users.NeedsAccounts(name) {
		return users.Find(name, users.Accounts{})
	}
	store := client.ContentStore()
	manifest, err := images.Manifest(ctx, store, image.Target(), image.Platform())
	if err != nil {
		return users.User{}, err
	}
	var layers []func() (io.ReadCloser, error)
	for i := len(manifest.Layers) - 1; i >= 0; i-- {
		layers = append(layers, func() (io.ReadCloser, error) {
			reader, err := store.ReaderAt(ctx, manifest.Layers[i])
			if err != nil {
				return nil, err
			}
			stream, err := compression.DecompressStream(content.NewReader(reader))
			if err != nil {
				reader.Close()
				return nil, err
			}
			return layerStream{stream, reader}, nil
		})
	}
	accounts, err := users.Read(layers)
	if err != nil {
		return users.User{}, err
	}
	return users.Find(name, accounts)
}

// layerStream is a decompressed layer that also closes its blob.
type layerStream struct {
	io.ReadCloser
	blob io.Closer
}

func (l layerStream) Close() error { return errors.Join(l.ReadCloser.Close(), l.blob.Close()) }
