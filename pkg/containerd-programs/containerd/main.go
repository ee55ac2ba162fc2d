// Command containerd is two programs in one file, selected by name. containerd has the plugins that
// an image needs, and service starts and stops the services of the image. "service system-init"
// runs both in one process.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// launcher is the command with which PID 1 starts this program.
const launcher = "system-init"

const usage = `usage: service list
       service start|stop|restart NAME`

const containerdUsage = `usage: containerd [--log-level trace|debug|info|warn|error]
       containerd --version`

func main() {
	if err := run(filepath.Base(os.Args[0]), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", filepath.Base(os.Args[0]), err)
		os.Exit(1)
	}
}

func run(program string, args []string, out io.Writer) error {
	ctx, cancel := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer cancel()
	switch {
	case program == "containerd" && len(args) > 0 && args[len(args)-1] == launcher:
		return systemInit(ctx, args[:len(args)-1])
	case program == "containerd":
		if answered, err := answer(args, out); answered || err != nil {
			return err
		}
		if _, err := setLevel(args); err != nil {
			return err
		}
		return serve(ctx, nil)
	case program != "service":
		return fmt.Errorf("unknown program name %q", program)
	case len(args) == 1 && args[0] == launcher:
		return systemInit(ctx, nil)
	case len(args) == 1 && (args[0] == "--help" || args[0] == "-h"):
		fmt.Fprintln(out, usage)
		return nil
	case len(args) == 1 && args[0] == "list":
		return withServices(list(ctx, out))
	case len(args) == 2 && args[0] == "start":
		return withServices(func(s *services) error { return s.start(ctx, args[1]) })
	case len(args) == 2 && args[0] == "stop":
		return withServices(func(s *services) error { return s.stop(ctx, args[1]) })
	case len(args) == 2 && args[0] == "restart":
		return withServices(func(s *services) error {
			if err := s.stop(ctx, args[1]); err != nil {
				return err
			}
			return s.start(ctx, args[1])
		})
	}
	return fmt.Errorf("wrong arguments\n%s", usage)
}

func withServices(do func(*services) error) error {
	s, err := connect()
	if err != nil {
		return err
	}
	defer s.close()
	return do(s)
}
