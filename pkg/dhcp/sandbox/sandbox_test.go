package sandbox

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// actions are tried by a process inside the sandbox.
var actions = map[string]func() error{
	"write": func() error {
		_, err := unix.Write(2, []byte("written"))
		return err
	},
	"memory": func() error {
		_, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		return err
	},
	"collect": func() error {
		var kept [64][]byte
		for i := range 300 {
			kept[i%len(kept)] = make([]byte, 100_000)
			if i%50 == 0 { // so that Go sets its own timers meanwhile
				_ = unix.Nanosleep(&unix.Timespec{Nsec: 1e7}, nil)
			}
		}
		runtime.GC()
		return nil
	},
	"sleep": func() error {
		time.Sleep(10 * time.Millisecond)
		return nil
	},
	"clock": func() error {
		var now unix.Timespec
		return unix.ClockGettime(unix.CLOCK_BOOTTIME, &now)
	},
	"open":   func() error { _, err := unix.Open("/etc/passwd", unix.O_RDONLY, 0); return err },
	"socket": func() error { _, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0); return err },
	"executable memory": func() error {
		_, err := unix.Mmap(-1, 0, 4096, unix.PROT_EXEC, unix.MAP_ANON|unix.MAP_PRIVATE)
		return err
	},
	"memory of a file": func() error { _, err := unix.Mmap(2, 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE); return err },
	"signal":           func() error { return unix.Kill(1, 0) },
	"fork":             func() error { _, err := syscall.ForkExec("/bin/true", nil, nil); return err },
	"setuid":           func() error { return unix.Setreuid(0, 0) },
	"bpf":              func() error { return unix.Prctl(unix.PR_SET_SECCOMP, 0, 0, 0, 0) },
	"ppoll":            func() error { _, err := unix.Ppoll(nil, &unix.Timespec{Nsec: 1}, nil); return err },
	"ftruncate":        func() error { return ignore(unix.Ftruncate(2, 0)) },
}

// ignore drops an error that the sandbox did not cause.
func ignore(error) error { return nil }

func TestMain(m *testing.M) {
	if action, inside := os.LookupEnv("SANDBOX_ACTION"); inside {
		role, err := LookupRole(os.Getenv("SANDBOX_ROLE"))
		if err == nil {
			err = role.Enter()
		}
		if err == nil {
			err = actions[action]()
		}
		if err != nil {
			_, _ = unix.Write(2, []byte(err.Error()))
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestRoleAllowsOnlyItsSystemCalls(t *testing.T) {
	for _, role := range []string{"wire", "engine", "actuator"} {
		may := map[string]bool{
			"write": true, "memory": true, "collect": true, "clock": true, "sleep": true,
			"ppoll": role != "engine", "ftruncate": role == "actuator",
		}
		for action := range actions {
			t.Run(role+" "+action, func(t *testing.T) {
				command := exec.Command("/proc/self/exe")
				command.Env = []string{"SANDBOX_ROLE=" + role, "SANDBOX_ACTION=" + action, "GODEBUG=asyncpreemptoff=1", "GOMAXPROCS=1"}
				out, err := command.CombinedOutput()
				var ended *exec.ExitError
				switch {
				case err == nil && may[action]:
				case errors.As(err, &ended) && !may[action] && ended.Sys().(syscall.WaitStatus).Signal() == syscall.SIGSYS:
				default:
					t.Errorf("%v: %s", err, out)
				}
			})
		}
	}
}

func TestRolesAreComplete(t *testing.T) {
	var roles map[string]Role
	decoder := json.NewDecoder(strings.NewReader(string(rolesFile)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&roles); err != nil {
		t.Fatal(err)
	}
	users := map[uint32]string{0: "root"}
	for name := range roles {
		role, err := LookupRole(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := role.CapabilitySet(); err != nil || role.Description == "" || users[role.UID] != "" {
			t.Errorf("%s: %+v, %v, shares its user with %s", name, role, err, users[role.UID])
		}
		users[role.UID] = name
	}
	if len(roles) != 3 {
		t.Errorf("%d roles", len(roles))
	}
}
