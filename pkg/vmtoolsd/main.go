// Command vmtoolsd answers the messages of VMware, as open-vm-tools does: it reports the host name
// and the addresses of the machine, shuts it down, and shows that it is alive. Unlike theirs, it
// starts no program, and reads or writes no file for the host. See docs/packages/vmtoolsd.md.
//
// The agent parses messages and has no privilege: VMware opens its I/O port to all programs. The
// process that started it knows only one action, to signal PID 1, which the agent requests with one
// byte.
package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"lkt/sandbox"
	"lkt/vmtoolsd/backdoor"
)

//go:embed roles.json
var rolesFile []byte

// powerFD is the agent's connection to the process that signals PID 1.
const powerFD = 3

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "vmtoolsd: error: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	roles, role, err := sandbox.Load("vmtoolsd", rolesFile, &struct{}{})
	if err != nil {
		return err
	}
	if role == nil {
		return launch(roles["agent"], args)
	}
	power := os.NewFile(powerFD, "power")
	if err := role.Enter(); err != nil {
		return err
	}
	a := newAgent(backdoor.IO, func(m mode) error {
		_, err := power.Write([]byte{byte(m)})
		return err
	})
	a.serve()
	return nil
}

// launch starts the agent if the machine is VMware's, and signals PID 1 when the agent asks for it.
func launch(role sandbox.Role, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q\n  fix: vmtoolsd", args[0])
	}
	if !backdoor.IsVMware() {
		fmt.Println("vmtoolsd: this machine does not run on VMware, so no host asks")
		return nil
	}
	if err := backdoor.Probe(backdoor.IO); err != nil {
		fmt.Printf("vmtoolsd: %v, so no host asks\n", err)
		return nil
	}
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := role.Start(struct{}{}, ends[1]); err != nil {
		return err
	}
	fmt.Println("vmtoolsd: answers VMware")
	return obey(os.NewFile(uintptr(ends[0]), "agent"), func(signal syscall.Signal) error { return syscall.Kill(1, signal) })
}

// obey signals PID 1 as the agent asks, until the agent ends.
func obey(requests io.Reader, kill func(syscall.Signal) error) error {
	request := make([]byte, 1)
	for {
		n, err := requests.Read(request)
		if n != 1 {
			if err == nil || errors.Is(err, io.EOF) {
				return errors.New("the agent ended")
			}
			return fmt.Errorf("the agent ended: %w", err)
		}
		signal, found := signals[mode(request[0])]
		if !found {
			return fmt.Errorf("the agent asked for %q", request)
		}
		fmt.Printf("vmtoolsd: the host requests %s\n", mode(request[0]))
		if err := kill(signal); err != nil {
			return err
		}
	}
}
