// Command qemu-ga answers requests of the host that runs the machine, in the protocol of QEMU's
// guest agent: what the machine is and which addresses it has, and a shutdown. Unlike QEMU's, it
// starts no program, and reads or writes no file for the host. See docs/guest.md.
//
// The agent parses requests and has no privilege. It requests a shutdown from the process that
// started it (pkg/shutdown).
package main

import (
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"lkt/sandbox"
	"lkt/shutdown"
)

//go:embed roles.json
var rolesFile []byte

const (
	// portName is the name that hosts give the agent's port.
	portName = "org.qemu.guest_agent.0"
	portsDir = "/sys/class/virtio-ports"
)

// Descriptors of the agent.
const (
	portFD = 3
	// launcher is the process that signals PID 1.
	launcher sandbox.Conn = 4
)

func main() {
	err := run(os.Args[1:])
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "qemu-ga: error: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	roles, role, err := sandbox.Load("qemu-ga", rolesFile, &struct{}{})
	if err != nil {
		return err
	}
	if role == nil {
		return launch(roles["agent"], args)
	}
	port := os.NewFile(portFD, "port")
	if err := role.Enter(); err != nil {
		return err
	}
	a := &agent{power: func(m shutdown.Mode) error { return shutdown.Request(launcher, m) }}
	return a.serve(port)
}

// launch opens the port, starts the agent, and signals PID 1 when the agent asks for it.
func launch(role sandbox.Role, args []string) error {
	flags := flag.NewFlagSet("qemu-ga", flag.ContinueOnError)
	path := flags.String("p", "", "`path` of the port, such as /dev/vport0p1; default: the one named "+portName)
	flags.StringVar(path, "path", "", "same as -p `path`")
	method := flags.String("m", "virtio-serial", "`method`; only virtio-serial")
	flags.StringVar(method, "method", "virtio-serial", "same as -m `method`")
	flags.Bool("v", false, "no effect")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || *method != "virtio-serial" {
		return errors.New("unsupported arguments\n  fix: qemu-ga [-p /dev/vport0p1]")
	}
	if *path == "" {
		found, err := findPort(portsDir)
		if err != nil {
			return err
		}
		if found == "" {
			fmt.Printf("qemu-ga: the host has no port %s, so it asks nothing\n", portName)
			return nil
		}
		*path = found
	}
	port, err := syscall.Open(*path, syscall.O_RDWR|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: *path, Err: err}
	}
	a, err := shutdown.Start("qemu-ga", role, port)
	if err != nil {
		return err
	}
	fmt.Printf("qemu-ga: answers on %s\n", *path)
	return a.Obey()
}

// findPort returns the device of the agent's port, or "".
func findPort(dir string) (string, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*", "name"))
	if err != nil {
		return "", err
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err == nil && strings.TrimSpace(string(text)) == portName {
			return filepath.Join("/dev", filepath.Base(filepath.Dir(name))), nil
		}
	}
	return "", nil
}
