// Command vsudd forwards ports of AF_VSOCK, which only the machine's host reaches, to Unix sockets
// of the machine. It accepts the arguments of LinuxKit's vsudd. See docs/guest.md.
package main

import (
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lkt/sandbox"
)

//go:embed roles.json
var rolesFile []byte

// forward is a port, and the Unix socket to which its connections go.
type forward struct {
	Port uint32
	Path string
	// Listener is the descriptor of the listening socket.
	Listener int
}

func main() {
	err := run(os.Args[1:])
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "vsudd: error: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var all []forward
	roles, role, err := sandbox.Load("vsudd", rolesFile, &all)
	if err != nil {
		return err
	}
	if role == nil {
		return launch(roles["forwarder"], args)
	}
	listeners := make([]*os.File, len(all))
	for i, one := range all {
		listeners[i] = os.NewFile(uintptr(one.Listener), strconv.Itoa(int(one.Port)))
	}
	if err := role.Enter(); err != nil {
		return err
	}
	failed := make(chan error)
	clients := newPlaces(maxClients, maxIdle)
	for i, one := range all {
		go func() { failed <- serve(listeners[i], one.Path, clients) }()
	}
	return <-failed
}

// launch opens the listening sockets, and becomes the process that serves them.
func launch(role sandbox.Role, args []string) error {
	all, err := parse(args)
	if err != nil {
		return err
	}
	var descriptors []int
	for i := range all {
		fd, err := listen(all[i].Port)
		if err != nil {
			return err
		}
		all[i].Listener = fd
		descriptors = append(descriptors, fd)
		fmt.Printf("vsudd: port %d of the host's vsock is %s\n", all[i].Port, all[i].Path)
	}
	return role.Exec(all, descriptors...)
}

const usage = "vsudd -inport PORT:unix:/PATH …"

func parse(args []string) (all []forward, err error) {
	flags := flag.NewFlagSet("vsudd", flag.ContinueOnError)
	flags.Func("inport", "vsock port and Unix socket, as `PORT:unix:/PATH`", func(text string) error {
		parts := strings.SplitN(text, ":", 3)
		if len(parts) != 3 || parts[1] != "unix" || !filepath.IsAbs(parts[2]) {
			return errors.New("must be PORT:unix:/PATH")
		}
		port, err := strconv.ParseUint(parts[0], 0, 32)
		if err != nil || port == 0 || port == unix.VMADDR_PORT_ANY {
			return fmt.Errorf("invalid port %q", parts[0])
		}
		all = append(all, forward{Port: uint32(port), Path: parts[2]})
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 || len(all) == 0 {
		return nil, errors.New("no port to forward, or an unexpected argument\n  fix: " + usage)
	}
	if len(all) > maxForwards {
		return nil, fmt.Errorf("more than %d ports", maxForwards)
	}
	return all, nil
}

// listen opens a listening socket on a port.
func listen(port uint32) (int, error) {
	fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	switch {
	case errors.Is(err, unix.EAFNOSUPPORT):
		return -1, fmt.Errorf("the kernel has no vsock, or its module is not loaded: %w", err)
	case err != nil:
		return -1, fmt.Errorf("vsock: %w\n  fix: give the container allow: [vsock]", err)
	}
	if err = unix.Bind(fd, &unix.SockaddrVM{CID: unix.VMADDR_CID_ANY, Port: port}); err == nil {
		err = unix.Listen(fd, 16)
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("port %d: %w", port, err)
	}
	return fd, nil
}
