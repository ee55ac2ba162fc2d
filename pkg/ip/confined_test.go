package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if os.Args[0] == "ip-tool" || os.Getenv("IP_TEST") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestRunsConfined(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("CAP_NET_ADMIN needs root")
	}
	c := exec.Command("/proc/self/exe", "-batch", "-") // waits for standard input
	c.Env = []string{"IP_TEST=1"}
	input, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for status := ""; !strings.Contains(status, "Seccomp:\t2\n"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no filter: %s", status)
		}
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.Process.Pid))
		status = string(text)
	}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", c.Process.Pid))
	for _, task := range tasks {
		text, _ := os.ReadFile(task)
		for _, line := range []string{"NoNewPrivs:\t1", "Seccomp:\t2", "CapPrm:\t0000000000001000"} {
			if !strings.Contains(string(text), line+"\n") {
				t.Errorf("%s lacks %q", task, line)
			}
		}
	}
	fmt.Fprintln(input, "address show lo")
	input.Close()
	if err := c.Wait(); err != nil || !strings.Contains(out.String(), "127.0.0.1/8") {
		t.Errorf("%v: %s", err, &out)
	}
}
