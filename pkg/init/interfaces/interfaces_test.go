package interfaces

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAttachRejectsInvalidInterfaces(t *testing.T) {
	for text, one := range map[string]Interface{
		`invalid name ""`:                 {},
		`invalid name "a/b"`:              {Name: "a/b", Add: "dummy"},
		`invalid name "a234567890123456"`: {Name: "a234567890123456"},
		`invalid name "p q"`:              {Name: "v0", Peer: "p q"},
		"a veth needs a peer":             {Name: "v0", Add: "veth"},
		"a dummy has no peer":             {Name: "d0", Add: "dummy", Peer: "p"},
	} {
		err := Attach([]Interface{{Name: "lo"}, one}, os.Getpid())
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%+v: %v", one, err)
		}
	}
}

// machine runs a test in a network namespace of its own, as the machine's.
func machine(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread ends with its namespace
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		t.Skip("needs root:", err)
	}
}

// container starts a process with a network namespace of its own.
func container(t *testing.T) (pid int) {
	t.Helper()
	command := exec.Command("sleep", "60")
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	return command.Process.Pid
}

// links returns the names of a process's interfaces but for lo, or of this thread's if pid is 0.
func links(t *testing.T, pid int) (names []string) {
	t.Helper()
	path := "/proc/thread-self/net/dev"
	if pid != 0 {
		path = "/proc/" + strconv.Itoa(pid) + "/net/dev"
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, _, found := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); found && name != "lo" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func TestAttachCreatesAndMovesInterfaces(t *testing.T) {
	machine(t)
	pid := container(t)
	all := []Interface{
		{Name: "v0", Peer: "host0"},
		{Name: "v1", Add: "veth", Peer: "host1"},
		{Name: "br0", Add: "bridge"},
	}
	if err := Attach(all, pid); err != nil {
		t.Fatal(err)
	}
	if got := links(t, pid); !slices.Equal(got, []string{"br0", "v0", "v1"}) {
		t.Errorf("container: %q", got)
	}
	if got := links(t, 0); !slices.Equal(got, []string{"host0", "host1"}) {
		t.Errorf("machine: %q", got)
	}
	// An existing interface moves too, and a second container does not get it.
	if err := Attach([]Interface{{Name: "host0"}}, pid); err != nil {
		t.Fatal(err)
	}
	if got := links(t, pid); !slices.Contains(got, "host0") {
		t.Errorf("container: %q", got)
	}
	reuseTimeout = 50 * time.Millisecond
	if err := Attach([]Interface{{Name: "host0"}}, container(t)); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("an interface that another container has: %v", err)
	}
	if err := Attach([]Interface{{Name: "host1", Add: "bridge"}}, pid); err != nil {
		t.Errorf("a name that only the machine has: %v", err)
	}
	if err := Attach([]Interface{{Name: "x0", Add: "nonesuch"}}, pid); err == nil || !strings.Contains(err.Error(), `no kind "nonesuch"`) {
		t.Errorf("unknown kind: %v", err)
	}
}

func TestAttachLeavesNothingAfterAnError(t *testing.T) {
	machine(t)
	pid := container(t)
	if err := Attach([]Interface{{Name: "v0", Peer: "host0"}}, pid); err != nil {
		t.Fatal(err)
	}
	// The container has the name already, so that the pair cannot be moved.
	if err := Attach([]Interface{{Name: "v0", Peer: "host1"}}, pid); !errors.Is(err, syscall.EEXIST) {
		t.Errorf("a name that the container has: %v", err)
	}
	// The kernel refuses to move a bridge.
	if err := Attach([]Interface{{Name: "br0", Add: "bridge", CreateInRoot: true}}, pid); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("a bridge of the machine: %v", err)
	}
	if got := links(t, 0); !slices.Equal(got, []string{"host0"}) {
		t.Errorf("machine: %q", got)
	}
}
