package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary is the server too: its processes have the names of sshd's.
func TestMain(m *testing.M) {
	if name := filepath.Base(os.Args[0]); name == "sshd" || strings.HasPrefix(name, "sshd-") || name == "internal-sftp" {
		main()
		return
	}
	os.Exit(m.Run())
}

// server is a server in its own mount and process namespaces, as in a container, with the users
// root and ann.
type server struct {
	t              *testing.T
	dir            string
	port           int
	log            bytes.Buffer
	identity       string // the file of a private key that may log in as both users
	fingerprintLog string
}

const setupScript = `set -e
mount --make-rprivate /
mount -t proc proc /proc
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/group" /etc/group
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts /dev/pts
mount --bind /dev/pts/ptmx /dev/ptmx
exec setpriv --bounding-set -all,+kill,+net_bind_service,+setgid,+setuid,+net_raw "$1/sshd" "$1/sshd.yml"
`

// start starts a server. more are lines of its settings. Without limits there, a login may take as
// long as on a busy machine.
func start(t *testing.T, more string) *server {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root for namespaces and users")
	}
	// Others must be able to enter it, unlike t.TempDir.
	dir, err := os.MkdirTemp("/tmp", "sshd-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &server{t: t, dir: dir, port: freePort(t), identity: filepath.Join(dir, "id")}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", s.identity)
	public := s.read("id.pub")
	s.write("passwd", fmt.Sprintf("root:x:0:0::%s/root:/bin/sh\nann:x:1234:1235::%s/ann:/bin/sh\n", dir, dir))
	s.write("group", "root:x:0:\nann:x:1235:\nextra:x:1236:ann\n")
	for name, uid := range map[string]int{"root": 0, "ann": 1234} {
		s.authorize(name, public)
		for _, path := range []string{name, name + "/.ssh", name + "/.ssh/authorized_keys"} {
			if err := os.Chown(filepath.Join(dir, path), uid, uid); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "host"), 0o700); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(more, "limits:") {
		more += "limits: { authenticationSeconds: 600 }\n"
	}
	s.write("sshd.yml", fmt.Sprintf("port: %d\naddresses: [127.0.0.1]\nhostKeys: %s/host\n%s", s.port, dir, more))
	if err := os.Symlink("/proc/self/exe", filepath.Join(dir, "none")); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "sshd")); err != nil {
		t.Fatal(err)
	}
	script := exec.Command("sh", "-c", setupScript, "sh", dir)
	script.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	script.Stdout, script.Stderr = log, log
	if err := script.Start(); err != nil {
		t.Fatal(err)
	}
	end := endWithTest(t, script.Process.Pid)
	t.Cleanup(func() {
		end()
		_ = script.Wait()
		if t.Failed() {
			t.Logf("log of the server:\n%s", s.read("log"))
		}
	})
	s.until("host key SHA256:")
	return s
}

// endWithTest starts a process that kills another one when end is called, or when this process has
// ended, also by a signal. That of a server is the first of its namespace, and ends all others.
func endWithTest(t *testing.T, pid int) (end func()) {
	t.Helper()
	watcher := exec.Command("sh", "-c", `read -r _; kill -KILL "$1"`, "sh", fmt.Sprint(pid))
	watcher.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	input, err := watcher.StdinPipe()
	if err == nil {
		err = watcher.Start()
	}
	if err != nil {
		_ = syscall.Kill(pid, syscall.SIGKILL)
		t.Fatal(err)
	}
	return func() {
		input.Close()
		_ = watcher.Wait()
	}
}

func TestServersEndWithTheirTest(t *testing.T) {
	var s *server
	t.Run("test", func(t *testing.T) {
		s = start(t, "")
		if n := s.processes("sshd-monitor"); n != 1 {
			t.Errorf("%d monitors", n)
		}
	})
	s.t = t
	for _, name := range []string{"sshd-monitor", "sshd-listener", "sshd-keys"} {
		if n := s.processes(name); n != 0 {
			t.Errorf("%d processes %s are left", n, name)
		}
	}
}

// freePort returns a free port below those that the kernel gives to clients and to tests of others,
// which could take it before the server does.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 10_000 + rand.IntN(20_000)
		if socket, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			socket.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

func (s *server) address() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

func (s *server) write(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *server) read(name string) string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// authorize writes the authorized keys of a user.
func (s *server) authorize(user, keys string) {
	s.t.Helper()
	directory := filepath.Join(s.dir, user, ".ssh")
	if err := os.MkdirAll(directory, 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(directory, "authorized_keys"), []byte(keys), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) run(name string, arguments ...string) {
	s.t.Helper()
	if out, err := exec.Command(name, arguments...).CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// until waits for a text in the log.
func (s *server) until(text string) {
	s.t.Helper()
	if !eventually(func() bool { return strings.Contains(s.read("log"), text) }) {
		s.t.Fatalf("no %q in the log", text)
	}
}

// eventually waits until a condition holds. It gives up after a time that only a fault needs.
func eventually(holds func() bool) bool {
	for end := time.Now().Add(5 * time.Minute); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// done is the end of a command.
type done struct {
	status         int
	stdout, stderr string
}

var common = []string{
	"-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
	"-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=600",
}

// ssh runs OpenSSH's client as the user.
func (s *server) ssh(user string, options []string, command ...string) done {
	s.t.Helper()
	return s.sshWith(nil, user, options, command...)
}

func (s *server) sshWith(input []byte, user string, options []string, command ...string) done {
	s.t.Helper()
	arguments := append([]string{}, common...)
	if !contains(options, "-i") {
		arguments = append(arguments, "-i", s.identity)
	}
	arguments = append(arguments, options...)
	arguments = append(arguments, "-p", fmt.Sprint(s.port), user+"@127.0.0.1")
	return s.client("ssh", input, append(arguments, command...)...)
}

func contains(list []string, item string) bool {
	for _, one := range list {
		if one == item {
			return true
		}
	}
	return false
}

func (s *server) client(program string, input []byte, arguments ...string) done {
	s.t.Helper()
	command := exec.Command(program, arguments...)
	var stdout, stderr bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(input), &stdout, &stderr
	command.Env = append(os.Environ(), "LC_TEST=accepted", "OTHER=refused", "TERM=vt220", "SSH_AUTH_SOCK=")
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return done{command.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func (s *server) expect(name string, got, want done) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("%s: %+v is not %+v", name, got, want)
	}
}
