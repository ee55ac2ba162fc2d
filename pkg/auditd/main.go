// Command auditd receives the audit records of the kernel and prints them, so that they are in the
// container's log. It sets what LinuxKit's audit.rules set: the limits of the kernel's queue and
// what the kernel does on failure. See docs/guest.md.
//
// The process that sets them keeps its connection to the kernel and becomes one without privileges,
// which only reads.
package main

import (
	_ "embed"
	"fmt"
	"os"

	"lkt/sandbox"
)

//go:embed roles.json
var rolesFile []byte

const rulesPath = "/etc/audit/audit.rules"

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "auditd: error: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	var socket int
	roles, role, err := sandbox.Load("auditd", rolesFile, &socket)
	if err != nil {
		return err
	}
	if role != nil {
		if err := role.Enter(); err != nil {
			return err
		}
		return follow(socket, os.Stdout)
	}
	if len(os.Args) > 1 && (len(os.Args) > 2 || os.Args[1] != "-f") {
		return fmt.Errorf("unexpected argument %q\n  fix: auditd [-f]", os.Args[len(os.Args)-1])
	}
	text, err := os.ReadFile(rulesPath)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	s, err := parseRules(string(text))
	if err != nil {
		return err
	}
	if socket, err = register(s); err != nil {
		return err
	}
	fmt.Println("auditd: receives the records of the kernel")
	return roles["reader"].Exec(socket, socket)
}
