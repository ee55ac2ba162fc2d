// Command vmtoolsd answers the messages of VMware, as open-vm-tools does: it reports the host name
// and the addresses of the machine, shuts it down, and shows that it is alive. Unlike theirs, it
// starts no program, and reads or writes no file for the host. See docs/packages/vmtoolsd.md.
//
// The agent parses messages and has no privilege: VMware opens its I/O port to all programs. It
// requests a shutdown from the process that started it (pkg/shutdown).
package main

import (
	_ "embed"
	"fmt"
	"os"

	"lkt/sandbox"
	"lkt/shutdown"
	"lkt/vmware/backdoor"
)

//go:embed roles.json
var rolesFile []byte

// launcher is the agent's connection to the process that signals PID 1.
const launcher sandbox.Conn = 3

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
	if err := role.Enter(); err != nil {
		return err
	}
	newAgent(backdoor.IO, func(m shutdown.Mode) error { return shutdown.Request(launcher, m) }).serve()
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
	a, err := shutdown.Start("vmtoolsd", role)
	if err != nil {
		return err
	}
	fmt.Println("vmtoolsd: answers VMware")
	return a.Obey()
}
