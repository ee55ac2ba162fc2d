package emulator

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// deadline ends tests that fail. None measures time.
const deadline = 5 * time.Minute

// Run runs a program with a host until done reports true, or the program ends. It returns what
// the program printed.
func Run(t *testing.T, h *Host, done func() bool, arguments ...string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("PID namespaces and changing the user need root")
	}
	output, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	m, err := Start(h, arguments[0], arguments, &syscall.ProcAttr{
		Dir: "/", Env: []string{"PATH=" + os.Getenv("PATH")},
		Files: []uintptr{null.Fd(), output.Fd(), output.Fd()},
		// PID 1 of the program's namespace gets its signals, and ends all processes when it ends.
		Sys: &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNET},
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for start := time.Now(); !done() && time.Since(start) < deadline; {
			select {
			case <-ended:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
		_ = m.Kill()
	}()
	_, err = m.Wait()
	close(ended)
	<-watched
	text, readErr := os.ReadFile(output.Name())
	if err != nil || readErr != nil {
		t.Fatal(err, readErr, string(text))
	}
	for _, v := range h.Violations() {
		t.Errorf("%s violates the protocol: %s", arguments[0], v)
	}
	return string(text)
}

// Build builds the program of the directory of a test, and returns its path.
func Build(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	build := exec.Command("go", "build", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	// Another user executes it.
	for directory := filepath.Dir(path); directory != os.TempDir() && directory != "/"; directory = filepath.Dir(directory) {
		if err := os.Chmod(directory, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// Peer returns the path of a program of open-vm-tools.
func Peer(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v\n  fix: apt-get install open-vm-tools", err)
	}
	return path
}

// Unconfined returns what the threads of a process lack of its role, which has a user and no
// capability.
func Unconfined(program, role string, uid int) []string {
	tasks, _ := filepath.Glob("/proc/[0-9]*/task/*/status")
	var problems []string
	isFound := false
	for _, task := range tasks {
		process := filepath.Dir(filepath.Dir(filepath.Dir(task)))
		arguments, _ := os.ReadFile(process + "/cmdline")
		exe, _ := os.Readlink(process + "/exe")
		if exe != program || string(arguments) != role+"\x00" {
			continue
		}
		isFound = true
		text, _ := os.ReadFile(task)
		for _, line := range []string{
			"NoNewPrivs:\t1", "Seccomp:\t2", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000",
			fmt.Sprintf("Uid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d", uid), fmt.Sprintf("Gid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d", uid),
		} {
			if len(text) > 0 && !strings.Contains(string(text), line+"\n") {
				problems = append(problems, task+" lacks "+line)
			}
		}
	}
	if !isFound {
		problems = append(problems, "no process "+role)
	}
	return problems
}
