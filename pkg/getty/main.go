// Command getty runs logins on the consoles of the machine if the image enables them. Passwords are
// those of /hostroot/etc/getty.shadow; with INSECURE=true, root has a shell without a password. A
// process reads a console, another one verifies the password, and this one starts the shell.
package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"lkt/sandbox"
	"lkt/sshd/users"
)

//go:embed roles.json
var rolesFile []byte

// Paths that a test replaces.
var (
	// shadow is a file of the image config, seen through a bind mount of the host's /etc.
	shadow  = "/hostroot/etc/getty.shadow"
	issue   = "/hostroot/etc/issue"
	cmdline = "/proc/cmdline"
	devices = "/dev/"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "getty: error: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	var s setup
	roles, role, err := sandbox.Load("getty", rolesFile, &s)
	if err != nil {
		return err
	}
	if role == nil {
		return runMonitor(roles)
	}
	if err := role.Enter(); err != nil {
		return err
	}
	if role.Name == "getty-prompt" {
		return runPrompt(s)
	}
	return runPassword(s)
}

func runMonitor(roles sandbox.Roles) error {
	if len(os.Args) > 1 {
		return fmt.Errorf("unexpected argument %q", os.Args[1])
	}
	m := &monitor{roles: roles, issue: readIssue(issue), isOpen: os.Getenv("INSECURE") == "true"}
	if !m.isOpen {
		hashes, err := readShadow(shadow)
		if errors.Is(err, fs.ErrNotExist) {
			fmt.Println("getty: login disabled: neither INSECURE=true nor /etc/getty.shadow")
			return nil
		}
		if err != nil {
			return err
		}
		m.hashes = hashes
	}
	var err error
	if m.users, err = users.Load("/etc/passwd", "/etc/group", nil); err != nil {
		return err
	}
	text, err := os.ReadFile(cmdline)
	if err != nil {
		return err
	}
	var names []string
	for _, name := range consoles(string(text)) {
		if usable(name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return errors.New("no usable console")
	}
	return m.supervise(names)
}
