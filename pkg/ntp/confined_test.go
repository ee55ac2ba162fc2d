package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if strings.HasPrefix(os.Args[0], "ntp-") || os.Getenv("NTP_TEST") != "" {
		main()
		os.Exit(0)
	}
	// A busy machine answers late. No test depends on this limit.
	timeout = time.Hour
	os.Exit(m.Run())
}

// The server refuses, so that the test does not set the clock.
func TestProcessesAreConfined(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("changing the user needs root")
	}
	var requests atomic.Int32
	refuses := serve(t, 0, func(answer []byte, _ func([]byte)) {
		requests.Add(1)
		answer[1] = 16
	})
	_, port, _ := net.SplitHostPort(refuses.Name)
	c := exec.Command("/proc/self/exe", "localhost:"+port, "absent.invalid", "[::1]:9", "192.0.2.1:9")
	c.Env = []string{"NTP_TEST=1"}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	// Both enter their roles at once, and neither waits for the other.
	problems := []string{"no request"}
	for end := time.Now().Add(5 * time.Minute); len(problems) > 0 && time.Now().Before(end); {
		select {
		case err := <-ended:
			t.Fatalf("%v: %s", err, &out)
		case <-time.After(20 * time.Millisecond):
		}
		if requests.Load() > 0 {
			problems = unconfined(port)
		}
	}
	if len(problems) > 0 {
		t.Errorf("%s: %s", strings.Join(problems, ", "), &out)
	}
	_ = c.Process.Signal(os.Interrupt)
	if err := <-ended; err != nil {
		t.Errorf("%v: %s", err, &out)
	}
}

// unconfined returns what the processes that ask the server at port lack of their roles.
func unconfined(port string) (problems []string) {
	roles := map[string]string{"ntp-asker": "684 0000000000000000", "ntp-setter": "687 0000000002000000"}
	seen := map[string]bool{}
	tasks, _ := filepath.Glob("/proc/[0-9]*/task/*/status")
	for _, task := range tasks {
		text, _ := os.ReadFile(task)
		process := filepath.Dir(filepath.Dir(filepath.Dir(task)))
		arguments, _ := os.ReadFile(process + "/cmdline")
		name := strings.TrimRight(string(arguments), "\x00")
		environment, _ := os.ReadFile(process + "/environ")
		if !strings.Contains(string(environment), port) || !strings.HasPrefix(name, "ntp-") {
			continue
		}
		seen[name] = true
		uid, set, _ := strings.Cut(roles[name], " ")
		for _, line := range []string{"NoNewPrivs:\t1", "Seccomp:\t2", "CapPrm:\t" + set, fmt.Sprintf("Uid:\t%[1]s\t%[1]s\t%[1]s\t%[1]s", uid)} {
			if len(text) > 0 && !strings.Contains(string(text), line+"\n") {
				problems = append(problems, fmt.Sprintf("%s: %s lacks %q", name, task, line))
			}
		}
	}
	if len(seen) != len(roles) {
		problems = append(problems, fmt.Sprintf("processes %v", seen))
	}
	return problems
}
