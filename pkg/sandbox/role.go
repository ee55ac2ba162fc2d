// Package sandbox removes the privileges that a process does not need. A program lists the
// privileges of its roles in roles.json: this package applies them, docs/security.md is generated
// from them, and the boot test compares them with /proc.
//
// A program starts as a launcher, which opens files and sockets, starts roles with [Role.Start] and
// may become the last one with [Role.Exec]. Both begin the program anew, so that all threads have
// the privileges of the role. There [Load] returns the role and its setup, and [Role.Enter] allows
// only the system calls of the role. After that the process may read foreign bytes.
package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// Role is the purpose of a process and the privileges that it needs.
type Role struct {
	// Name is "program-role": the name of the process.
	Name        string `json:"-"`
	Description string `json:"description"`
	// UID is the user and the group. 0 keeps those of the launcher.
	UID          uint32   `json:"uid"`
	Capabilities []string `json:"capabilities"`
	// Files are the kinds of files and sockets that are open besides those of every Go program.
	// Nothing enforces the list; the boot test compares it with /proc.
	Files []string `json:"files"`
	// Syscalls are keys of the table in syscalls.go. A name may restrict arguments.
	Syscalls []string `json:"syscalls"`
	// Programs says that the process starts programs, which would inherit a filter and Landlock's
	// rules: it has neither, and nothing here applies the role.
	Programs bool `json:"programs,omitempty"`
	// Threads allows new threads. Without it there are four.
	Threads bool `json:"threads,omitempty"`
	// Read and Write are the files and directories that may be opened, with all below them.
	Read  []string `json:"read,omitempty"`
	Write []string `json:"write,omitempty"`
	// Connect and Bind are the TCP ports for connect(2) and bind(2).
	Connect []uint16 `json:"connect,omitempty"`
	Bind    []uint16 `json:"bind,omitempty"`
	// Memory is the limit, in MiB, of the memory beyond what a Go program has at its start.
	Memory uint64 `json:"memory"`
	// CPU is the limit of processor time, in seconds. 0 means none, for a process without end.
	CPU uint64 `json:"cpu,omitempty"`
	// Descriptors is the limit of open files. 0 means those open at Enter.
	Descriptors uint64 `json:"descriptors,omitempty"`

	// Those of RestrictTool.
	programs, devices []string
}

// Roles are the roles of a program.
type Roles map[string]Role

// Parse parses the roles.json of a program.
func Parse(program string, text []byte) (Roles, error) {
	var roles Roles
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&roles); err != nil {
		return nil, fmt.Errorf("roles of %s: %w", program, err)
	}
	for name, role := range roles {
		role.Name = program + "-" + name
		if err := role.check(); err != nil {
			return nil, fmt.Errorf("role %s: %w", role.Name, err)
		}
		roles[name] = role
	}
	return roles, nil
}

func (r Role) check() error {
	if r.Description == "" || r.Memory == 0 && !r.Programs {
		return fmt.Errorf("description and memory are required")
	}
	if len(r.Name) > 15 {
		return fmt.Errorf("the name exceeds 15 bytes")
	}
	for _, name := range r.Syscalls {
		if _, known := rules[name]; !known {
			return fmt.Errorf("unknown system call %q", name)
		}
	}
	if _, err := r.capabilitySet(); err != nil {
		return err
	}
	// Go's scheduler wakes a thread that waits for a timer by an eventfd. It seldom has to.
	if !r.Programs && !(slices.Contains(r.Syscalls, "read") && slices.Contains(r.Syscalls, "write")) {
		return fmt.Errorf("Go needs the system calls read and write")
	}
	return nil
}
