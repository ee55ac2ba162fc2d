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

// Inside reports whether this process was started in a role of the program, and returns the role's
// name. It decodes into setup what [Role.Start] or [Role.Exec] got.
func Inside(program string, setup any) (role string, inside bool, err error) {
	text, inside := os.LookupEnv(setupVariable)
	if !inside {
		return "", false, nil
	}
	role, found := strings.CutPrefix(os.Args[0], program+"-")
	if !found {
		return "", true, fmt.Errorf("%s is not a role of %s", os.Args[0], program)
	}
	if err := json.Unmarshal([]byte(text), setup); err != nil {
		return "", true, fmt.Errorf("%s: %w", setupVariable, err)
	}
	return role, true, nil
}
