package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

const setupVariable = "LKT_SANDBOX_SETUP"

// init names the process, while it has one thread that matters: the name of a process is that of
// its first thread.
func init() {
	if _, inside := os.LookupEnv(setupVariable); inside {
		if name, err := unix.BytePtrFromString(os.Args[0]); err == nil {
			_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(name)), 0, 0, 0)
		}
	}
}

// environment returns the complete environment of the role's process. Its setup is the only input
// that it trusts.
func (r Role) environment(setup any) ([]string, error) {
	text, err := json.Marshal(setup)
	if err != nil {
		return nil, err
	}
	// The filter forbids signals to threads: Go must not preempt asynchronously.
	environment := []string{setupVariable + "=" + string(text), "GODEBUG=asyncpreemptoff=1"}
	if !r.Threads {
		environment = append(environment, "GOMAXPROCS=1")
	}
	return environment, nil
}

// Load parses the roles.json of a program. In a process that was started in one of its roles, it
// also returns that role, and decodes into setup what [Role.Start] or [Role.Exec] got.
func Load(program string, text []byte, setup any) (roles Roles, inside *Role, err error) {
	roles, err = Parse(program, text)
	if err != nil {
		return nil, nil, err
	}
	encoded, isInside := os.LookupEnv(setupVariable)
	if !isInside {
		return roles, nil, nil
	}
	name, _ := strings.CutPrefix(os.Args[0], program+"-")
	role, known := roles[name]
	if !known || role.Name != os.Args[0] {
		return nil, nil, fmt.Errorf("%s is not a role of %s", os.Args[0], program)
	}
	if err := json.Unmarshal([]byte(encoded), setup); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", setupVariable, err)
	}
	return roles, &role, nil
}
