package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if address := os.Getenv("EXPORTER_TEST"); address != "" {
		os.Args = []string{os.Args[0], "--web.listen-address=" + address, "--path.rootfs=/"}
		main()
	} else if os.Args[0] == "node-exporter" {
		main()
	}
	os.Exit(m.Run())
}

func TestServesMetricsConfined(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	c := exec.Command("/proc/self/exe")
	c.Env = []string{"EXPORTER_TEST=" + address}
	out, _ := c.StdoutPipe()
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(line, err)
	}
	var all sync.WaitGroup
	for range 30 {
		all.Add(1)
		go func() {
			defer all.Done()
			client := http.Client{Timeout: 20 * time.Second}
			response, err := client.Get("http://" + address + "/metrics")
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode == http.StatusOK && !strings.Contains(string(text), "node_filesystem_size_bytes{") {
				t.Errorf("%.200s %v", text, err)
			}
		}()
	}
	all.Wait()
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", c.Process.Pid))
	if len(tasks) < 4 {
		t.Errorf("%d threads", len(tasks))
	}
	for _, task := range tasks {
		text, _ := os.ReadFile(task)
		for _, line := range []string{"NoNewPrivs:\t1", "Seccomp:\t2", "CapPrm:\t0000000000000000"} {
			if !strings.Contains(string(text), line+"\n") {
				t.Errorf("%s lacks %q", task, line)
			}
		}
	}
}
