// Command qemu-ga answers requests of the host that runs the machine, in the protocol of QEMU's
// guest agent: what the machine is and which addresses it has, and a shutdown. Unlike QEMU's, it
// starts no program, and reads or writes no file for the host. See docs/guest.md.
//
// The agent parses requests and has no privilege. The process that started it knows only one
// action, to signal PID 1, which the agent requests with one byte.
package main

import (
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"lkt/sandbox"
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
	portFD = 3 + iota
	powerFD
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
	port, power := os.NewFile(portFD, "port"), os.NewFile(powerFD, "power")
	if err := role.Enter(); err != nil {
		return err
	}
	a := &agent{power: func(m mode) error {
		_, err := power.Write([]byte{byte(m)})
		return err
	}}
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
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := role.Start(struct{}{}, port, ends[1]); err != nil {
		return err
	}
	fmt.Printf("qemu-ga: answers on %s\n", *path)
	return obey(os.NewFile(uintptr(ends[0]), "agent"), func(signal syscall.Signal) error { return syscall.Kill(1, signal) })
}

// obey signals PID 1 as the agent asks, until the agent ends.
func obey(requests io.Reader, kill func(syscall.Signal) error) error {
	request := make([]byte, 1)
	for {
		n, err := requests.Read(request)
		if n != 1 {
			return fmt.Errorf("the agent ended: %w", err)
		}
		signal, found := signals[mode(request[0])]
		if !found {
			return fmt.Errorf("the agent asked for %q", request)
		}
		fmt.Printf("qemu-ga: the host requests %s\n", mode(request[0]))
		if err := kill(signal); err != nil {
			return err
		}
	}
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
