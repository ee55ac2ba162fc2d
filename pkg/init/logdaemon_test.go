package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lkt/init/logd"
	"lkt/init/logs"
	"lkt/sandbox"
)

const logdDirectory = "LOGD_TEST_DIRECTORY"

func TestMain(m *testing.M) {
	var err error
	switch dir, launcher := os.LookupEnv(logdDirectory); {
	case os.Args[0] == "init-logd", os.Args[0] == "init-sender":
		err = logDaemon()
	case launcher:
		var roles sandbox.Roles
		if roles, err = sandbox.Parse("init", rolesFile); err == nil {
			setup := logd.Load()
			setup.Settings = logd.Settings{Size: 64 << 10, Total: 64 << 10, Rate: 1 << 30, Console: logd.ConsoleAll}
			setup.Settings.Network, setup.Settings.Address, _ = strings.Cut(os.Getenv("SYSLOG"), " ")
			err = execLogDaemon(roles, dir, setup)
		}
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// The daemon reads what every container writes. Each of its threads must be confined.
func TestLogDaemonIsConfined(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("changing the user needs root")
	}
	t.Run("without a syslog server", func(t *testing.T) { testLogDaemon(t, "") })
	t.Run("udp", func(t *testing.T) {
		server, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		testLogDaemon(t, "udp "+server.LocalAddr().String())
		received := make([]byte, 4096)
		_ = server.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, _, err := server.ReadFrom(received); err != nil || !strings.HasPrefix(string(received[:n]), "<30>1 ") {
			t.Errorf("%q %v", received[:n], err)
		}
	})
	t.Run("tcp, by name", func(t *testing.T) {
		server, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		connected := make(chan string, 1)
		go func() {
			client, err := server.Accept()
			if err != nil {
				return
			}
			received := make([]byte, 4096)
			n, _ := client.Read(received)
			connected <- string(received[:n])
		}()
		_, port, _ := net.SplitHostPort(server.Addr().String())
		testLogDaemon(t, "tcp localhost:"+port)
		if text := <-connected; !strings.Contains(text, "<30>1 ") {
			t.Errorf("%q", text)
		}
	})
}

func testLogDaemon(t *testing.T, syslog string) {
	dir, err := os.MkdirTemp("/var/tmp", "logd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chown(dir, logUser, 0); err != nil {
		t.Fatal(err)
	}
	control, theirs, err := controlPair()
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	writers, err := listen(filepath.Join(dir, "writers"), unix.SOCK_DGRAM)
	if err != nil {
		t.Fatal(err)
	}
	queries, err := listen(filepath.Join(dir, "queries"), unix.SOCK_STREAM)
	if err != nil {
		t.Fatal(err)
	}
	daemon := exec.Command("/proc/self/exe")
	daemon.Env = []string{logdDirectory + "=" + dir, "SYSLOG=" + syslog}
	daemon.ExtraFiles = []*os.File{theirs, writers, queries}
	daemon.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: logUser, Gid: logUser}}
	var console bytes.Buffer
	daemon.Stderr = &console
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	ended := make(chan error, 1)
	go func() { ended <- daemon.Wait() }()

	// Many sources at once, so that there are more threads, and a full log.
	const sources = 40
	for i := range sources {
		out := addSource(t, control, fmt.Sprintf("source%d", i))
		fmt.Fprintln(out, "a line")
		if i == 0 {
			for range 100 {
				fmt.Fprintln(out, strings.Repeat("x", 1000))
			}
		}
	}
	last := logs.Path(dir, fmt.Sprintf("source%d", sources-1))
	deadline := time.After(20 * time.Second)
	for text := ""; !strings.Contains(text, "a line"); {
		select {
		case err := <-ended:
			t.Fatalf("the daemon ended: %v: %s", err, &console)
		case <-deadline:
			t.Fatalf("no line in %s", last)
		case <-time.After(20 * time.Millisecond):
		}
		data, _ := os.ReadFile(last)
		text = string(data)
	}
	reader, err := net.Dial("unix", filepath.Join(dir, "queries"))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	_, _ = reader.Write([]byte{0})
	answer := make([]byte, 1<<20)
	if n, err := reader.Read(answer); err != nil || !strings.Contains(string(answer[:n]), "source") {
		t.Errorf("%q %v", answer[:n], err)
	}
	checkConfined(t, daemon.Process.Pid)
	control.Close()
	if err := <-ended; err != nil {
		t.Errorf("%v: %s", err, &console)
	}
}

// addSource passes the read end of a pipe to the daemon, and returns the write end.
func addSource(t *testing.T, control *net.UnixConn, name string) *os.File {
	t.Helper()
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := control.WriteMsgUnix([]byte("+"+name), unix.UnixRights(int(in.Fd())), nil); err != nil {
		t.Fatal(err)
	}
	in.Close()
	t.Cleanup(func() { out.Close() })
	return out
}

func checkConfined(t *testing.T, pid int) {
	t.Helper()
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if len(tasks) < 4 {
		t.Errorf("%d threads", len(tasks))
	}
	for _, task := range tasks {
		text, _ := os.ReadFile(task)
		for _, line := range []string{"NoNewPrivs:\t1", "Seccomp:\t2", "CapPrm:\t0000000000000000", "Uid:\t514\t514\t514\t514"} {
			if !strings.Contains(string(text), line+"\n") {
				t.Errorf("%s lacks %q", task, line)
			}
		}
	}
}
