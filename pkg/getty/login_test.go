package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// screen is the terminal's side of a console.
type screen struct {
	*os.File
	lock sync.Mutex
	seen bytes.Buffer
}

// newConsole returns a terminal and the name of its device in devices.
func newConsole(t *testing.T) (*screen, string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	// A terminal that no program has open would end the screen.
	held, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { held.Close() })
	s := &screen{File: master}
	go func() {
		b := make([]byte, 1024)
		for {
			n, err := s.Read(b)
			if n == 0 && err != nil {
				return
			}
			s.lock.Lock()
			s.seen.Write(b[:n])
			s.lock.Unlock()
		}
	}()
	return s, fmt.Sprint(number)
}

func (s *screen) text() string {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.seen.String()
}

// waitFor waits until the screen has text after a position, and returns the position after it.
func (s *screen) waitFor(t *testing.T, text string, from int) int {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if at := strings.Index(s.text()[from:], text); at >= 0 {
			return from + at + len(text)
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %q in %q", text, s.text())
		}
	}
}

func (s *screen) say(t *testing.T, text string) {
	t.Helper()
	if _, err := s.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// start runs getty on a console, and returns its log.
func start(t *testing.T, name, shadow string, environment ...string) *bytes.Buffer {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("changing the user needs root")
	}
	directory := t.TempDir()
	files := map[string]string{"cmdline": "console=" + name, "shadow": shadow, "issue": "Welcome\nto 42\n"}
	for file, text := range files {
		if text == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(directory, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command("/proc/self/exe")
	c.Env = append(environment, "GETTY_TEST="+directory, "GETTY_DEVICES=/dev/pts/")
	var log bytes.Buffer
	c.Stdout, c.Stderr = &log, &log
	t.Cleanup(func() { t.Log(log.String()) })
	// It ends with all processes that it has started.
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	return &log
}

func TestLogsInWithThePassword(t *testing.T) {
	s, name := newConsole(t)
	start(t, name, "root:"+hash(t, "secret")+":20000::::::\n")
	at := s.waitFor(t, "Welcome\r\nto 42\r\n", 0)
	at = s.waitFor(t, " login: ", at)
	checkProcesses(t)
	s.say(t, "root\n")
	at = s.waitFor(t, "Password: ", at)
	s.say(t, "wrong\n")
	at = s.waitFor(t, "Login incorrect", at)
	at = s.waitFor(t, " login: ", at)
	s.say(t, "root\n")
	at = s.waitFor(t, "Password: ", at)
	s.say(t, "secret\n")
	at = s.waitFor(t, "# ", at)
	if strings.Contains(s.text(), "secret") || strings.Contains(s.text(), "wrong") {
		t.Errorf("the password is on the screen: %q", s.text())
	}
	s.say(t, "echo $(id -u) $(tty) $USER $((6*7)); stty -echo raw; exit\n")
	at = s.waitFor(t, "0 /dev/pts/"+name+" root 42", at)
	// The next prompt sets the modes of the console.
	at = s.waitFor(t, "Welcome\r\nto 42\r\n", at)
	at = s.waitFor(t, " login: ", at)
	s.say(t, "ro")
	s.waitFor(t, "ro", at)
}

func TestRunsAShellWithoutPasswordWhereAsked(t *testing.T) {
	s, name := newConsole(t)
	start(t, name, "", "INSECURE=true")
	at := s.waitFor(t, "to 42", 0)
	at = s.waitFor(t, "# ", at)
	s.say(t, "echo $(id -u) $((6*7)); exit\n")
	at = s.waitFor(t, "0 42", at)
	s.waitFor(t, "# ", at)
}

func TestRunsNoLoginUnlessAsked(t *testing.T) {
	s, name := newConsole(t)
	log := start(t, name, "")
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(log.String(), "login disabled"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(log)
		}
	}
	if s.text() != "" {
		t.Errorf("%q", s.text())
	}
}

// checkProcesses compares prompt and password with roles.json.
func checkProcesses(t *testing.T) {
	t.Helper()
	seen := map[string]bool{}
	tasks, _ := filepath.Glob("/proc/[0-9]*/task/*/status")
	for _, task := range tasks {
		text, _ := os.ReadFile(task)
		arguments, _ := os.ReadFile(filepath.Dir(filepath.Dir(filepath.Dir(task))) + "/cmdline")
		name := strings.TrimRight(string(arguments), "\x00")
		uid, found := map[string]string{"getty-prompt": "693", "getty-password": "694"}[name]
		if !found {
			continue
		}
		seen[name] = true
		for _, line := range []string{"NoNewPrivs:\t1", "Seccomp:\t2", "CapPrm:\t0000000000000000", fmt.Sprintf("Uid:\t%[1]s\t%[1]s\t%[1]s\t%[1]s", uid)} {
			if !strings.Contains(string(text), line+"\n") {
				t.Errorf("%s: %s lacks %q", name, task, line)
			}
		}
	}
	if len(seen) != 2 {
		t.Errorf("processes %v", seen)
	}
}
