package main

import (
	"bufio"
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// dial returns a connection of Go's client.
func (s *server) dial(user string, signer ssh.Signer) (*ssh.Client, error) {
	return ssh.Dial("tcp", s.address(), &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
}

func (s *server) signer() ssh.Signer {
	s.t.Helper()
	signer, err := ssh.ParsePrivateKey([]byte(s.read("id")))
	if err != nil {
		s.t.Fatal(err)
	}
	return signer
}

func (s *server) connect() net.Conn {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.address())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

// ends reports whether the server ends a connection.
func ends(conn net.Conn) bool {
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Minute))
	_, err := io.Copy(io.Discard, conn)
	return err == nil || !os.IsTimeout(err)
}

// dropbear has five places before the login, which idle connections keep for minutes.
func TestIdleConnectionsLockOutNobody(t *testing.T) {
	s := start(t, "")
	for range 12 {
		s.connect()
	}
	s.expect("login", s.ssh("root", nil, "echo in"), done{0, "in\n", ""})
}

// A flood costs no process for a connection that another one has ended meanwhile: else logins wait
// for thousands.
func TestStartsNoSpeakerForEndedConnections(t *testing.T) {
	s := start(t, "")
	lastPID := func() int {
		got := s.ssh("root", nil, "echo $$")
		pid, err := strconv.Atoi(strings.TrimSpace(got.stdout))
		if err != nil {
			t.Fatalf("%+v", got)
		}
		return pid
	}
	before := lastPID()
	for _, pid := range s.pids("sshd-monitor") {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
	}
	const connections = 500
	var first net.Conn
	for i := range connections {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(i>>8), byte(i))}}
		conn, err := dialer.Dial("tcp", s.address())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if i == connections-20 {
			first = conn
		}
	}
	if !ends(first) {
		t.Fatal("the listener waits for the monitor")
	}
	for _, pid := range s.pids("sshd-monitor") {
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	if used := lastPID() - before; used > connections {
		t.Errorf("%d processes and threads for %d connections, of which 10 are open", used, connections)
	}
}

// Connections without a login end when their time is over, and their speakers with them.
func TestIdleConnectionsEnd(t *testing.T) {
	s := start(t, "limits: { authenticationSeconds: 5 }\n")
	idle := []net.Conn{s.connect(), s.connect(), s.connect()}
	for i, conn := range idle {
		if !ends(conn) {
			t.Errorf("connection %d is left", i)
		}
	}
	if !eventually(func() bool { return s.processes("sshd-speaker") == 0 }) {
		t.Errorf("%d speakers are left", s.processes("sshd-speaker"))
	}
}

// processes counts the processes of this server with a name.
func (s *server) processes(name string) int {
	s.t.Helper()
	return len(s.pids(name))
}

// pids returns the processes of this server with a name.
func (s *server) pids(name string) (found []int) {
	s.t.Helper()
	paths, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, path := range paths {
		comm, _ := os.ReadFile(path)
		environment, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "environ"))
		if strings.TrimSpace(string(comm)) == name && bytes.Contains(environment, []byte(fmt.Sprintf(`"Port":%d`, s.port))) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			found = append(found, pid)
		}
	}
	return found
}

func TestLoginsAreBounded(t *testing.T) {
	s := start(t, "limits: { connections: 2, channels: 2, authenticationSeconds: 600 }\n")
	var clients []*ssh.Client
	for range 2 {
		client, err := s.dial("root", s.signer())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		clients = append(clients, client)
	}
	if client, err := s.dial("root", s.signer()); err == nil {
		if session, err := client.NewSession(); err == nil {
			if err := session.Run("true"); err == nil {
				t.Error("a third login")
			}
		}
		client.Close()
	}
	s.until("no login of root: there is no place for it")
	if n := strings.Count(s.read("log"), " logs in from "); n != 2 {
		t.Errorf("%d logins", n)
	}
	for i := range 3 {
		session, err := clients[0].NewSession()
		if (err == nil) != (i < 2) {
			t.Errorf("channel %d: %v", i, err)
		}
		if err == nil {
			defer session.Close()
			if err := session.Start("sleep 60"); err != nil {
				t.Error(err)
			}
		}
	}
	clients[1].Close()
	if !eventually(func() bool { return s.ssh("root", nil, "true").status == 0 }) {
		t.Error("no login after another has ended")
	}
}

func TestSessionsTakeSizesAndSignals(t *testing.T) {
	s := start(t, "")
	client, err := s.dial("ann", s.signer())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.RequestPty("vt100", 24, 80, ssh.TerminalModes{ssh.ECHO: 0}); err != nil {
		t.Fatal(err)
	}
	input, _ := session.StdinPipe()
	output, _ := session.StdoutPipe()
	if err := session.Shell(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(output)
	until := func(want string) {
		t.Helper()
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatalf("no %q: %v", want, err)
			}
			if strings.HasSuffix(strings.TrimRight(line, "\r\n"), want) {
				return
			}
		}
	}
	fmt.Fprintln(input, "PS1=; stty size")
	until("24 80")
	if err := session.WindowChange(50, 132); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(input, "while test \"$(stty size)\" != '50 132'; do sleep 0.1; done; echo resized")
	until("resized")
	fmt.Fprintln(input, "exit 7")
	var exit *ssh.ExitError
	if err := session.Wait(); !asExit(err, &exit) || exit.ExitStatus() != 7 {
		t.Error(err)
	}

	session, err = client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	output, _ = session.StdoutPipe()
	if err := session.Start("trap 'echo usr1; exit 8' USR1; echo ready; while :; do sleep 0.1; done"); err != nil {
		t.Fatal(err)
	}
	lines = bufio.NewReader(output)
	until("ready")
	if err := session.Signal(ssh.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	until("usr1")
	if err := session.Wait(); !asExit(err, &exit) || exit.ExitStatus() != 8 {
		t.Error(err)
	}
}

// expectNoTerminal checks that the login of a key gets no terminal, and then runs a program without
// one. OpenSSH's client ends when it is refused what -tt asks for.
func (s *server) expectNoTerminal(name string, options []string, signer ssh.Signer, stdout string) {
	s.t.Helper()
	got := s.ssh("ann", append([]string{"-tt"}, options...), "tty; exit 0")
	if got.status != 255 || got.stdout != "" || !strings.HasPrefix(got.stderr, "PTY allocation request failed") {
		s.t.Errorf("%s: %+v", name, got)
	}
	client, err := s.dial("ann", signer)
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := session.RequestPty("vt100", 24, 80, nil); err == nil {
		s.t.Errorf("%s: a terminal", name)
	}
	if got, err := session.Output("tty; echo $TERM$SSH_TTY; exit 0"); err != nil || string(got) != stdout {
		s.t.Errorf("%s: %q, %v", name, got, err)
	}
}

func asExit(err error, exit **ssh.ExitError) bool {
	e, ok := err.(*ssh.ExitError)
	if ok {
		*exit = e
	}
	return ok
}

// A program ends with its terminal when the client is gone.
func TestTerminalHangsUpWithTheConnection(t *testing.T) {
	s := start(t, "")
	client, err := s.dial("ann", s.signer())
	if err != nil {
		t.Fatal(err)
	}
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.RequestPty("vt100", 24, 80, nil); err != nil {
		t.Fatal(err)
	}
	output, _ := session.StdoutPipe()
	if err := session.Start("trap 'echo gone > ~/gone; exit' HUP; echo ready; while :; do sleep 0.1; done"); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(output).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	client.Close()
	if !eventually(func() bool {
		text, err := os.ReadFile(filepath.Join(s.dir, "ann/gone"))
		return err == nil && string(text) == "gone\n"
	}) {
		t.Fatal("the program goes on")
	}
	s.until("logs out")
}

// securityKey is a FIDO key (PROTOCOL.u2f of OpenSSH).
type securityKey struct {
	key   ed25519.PrivateKey
	flags byte
	wire  ssh.PublicKey
}

func (k securityKey) PublicKey() ssh.PublicKey { return k.wire }

func (k securityKey) Sign(_ io.Reader, data []byte) (*ssh.Signature, error) {
	application, message := sha256.Sum256([]byte("ssh:")), sha256.Sum256(data)
	rest := binary.BigEndian.AppendUint32([]byte{k.flags}, 1)
	signed := append(append(application[:], rest...), message[:]...)
	return &ssh.Signature{Format: ssh.KeyAlgoSKED25519, Blob: ed25519.Sign(k.key, signed), Rest: rest}, nil
}

func TestSecurityKeys(t *testing.T) {
	s := start(t, "")
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wire, err := ssh.ParsePublicKey(ssh.Marshal(struct {
		Type        string
		Key         []byte
		Application string
	}{ssh.KeyAlgoSKED25519, public, "ssh:"}))
	if err != nil {
		t.Fatal(err)
	}
	s.authorize("ann", string(ssh.MarshalAuthorizedKey(wire)))
	for flags, want := range map[byte]bool{0: false, 1: true} {
		client, err := s.dial("ann", securityKey{private, flags, wire})
		if (err == nil) != want {
			t.Errorf("flags %d: %v", flags, err)
		}
		if err == nil {
			client.Close()
		}
	}
}

// packet frames a payload before encryption (RFC 4253 section 6).
func packet(payload []byte) []byte {
	padding := 8 - (5+len(payload))%8
	if padding < 4 {
		padding += 8
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(1+len(payload)+padding))
	b = append(append(b, byte(padding)), payload...)
	return append(b, make([]byte, padding)...)
}

func kexInit(kex string) []byte {
	payload := append([]byte{20}, make([]byte, 16)...)
	for _, list := range []string{
		kex, "ssh-ed25519", "chacha20-poly1305@openssh.com", "chacha20-poly1305@openssh.com",
		"hmac-sha2-256-etm@openssh.com", "hmac-sha2-256-etm@openssh.com", "none", "none", "", "",
	} {
		payload = append(binary.BigEndian.AppendUint32(payload, uint32(len(list))), list...)
	}
	return append(payload, 0, 0, 0, 0, 0)
}

// answersKeyExchange reports whether the server answers a key exchange instead of ending the
// connection.
func answersKeyExchange(t *testing.T, conn net.Conn) bool {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Minute))
	reader := bufio.NewReader(conn)
	if _, err := reader.ReadString('\n'); err != nil {
		return false
	}
	for {
		header := make([]byte, 6)
		if _, err := io.ReadFull(reader, header); err != nil {
			if os.IsTimeout(err) {
				t.Error("neither an answer nor an end")
			}
			return false
		}
		if header[5] == 31 { // SSH_MSG_KEX_ECDH_REPLY
			return true
		}
		if _, err := reader.Discard(int(binary.BigEndian.Uint32(header)) - 2); err != nil {
			return false
		}
	}
}

// Terrapin (CVE-2023-48795) inserts packets that do nothing before the encryption starts. With a
// strict key exchange the server ends the connection.
func TestStrictKeyExchangeAllowsNoOtherPacket(t *testing.T) {
	s := start(t, "")
	const strict = "curve25519-sha256,kex-strict-c-v00@openssh.com"
	ignore := []byte{2, 0, 0, 0, 0}
	point, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	exchange := append([]byte{30, 0, 0, 0, 32}, point.PublicKey().Bytes()...)
	for name, c := range map[string]struct {
		packets [][]byte
		want    bool
	}{
		"strict":                        {[][]byte{kexInit(strict), exchange}, true},
		"strict, ignored packet before": {[][]byte{ignore, kexInit(strict), exchange}, false},
		"strict, ignored packet after":  {[][]byte{kexInit(strict), ignore, exchange}, false},
		// The test can fail: without strict key exchange the packet is allowed.
		"ignored packet after": {[][]byte{kexInit("curve25519-sha256"), ignore, exchange}, true},
	} {
		conn := s.connect()
		fmt.Fprint(conn, "SSH-2.0-test\r\n")
		for _, payload := range c.packets {
			if _, err := conn.Write(packet(payload)); err != nil {
				break
			}
		}
		if got := answersKeyExchange(t, conn); got != c.want {
			t.Errorf("%s: answers %v", name, got)
		}
		conn.Close()
	}
}

// Bytes that are no SSH end their connection only.
func TestGarbageEndsItsConnection(t *testing.T) {
	// Some of it may be the begin of a version, and ends with the time for the login.
	s := start(t, "limits: { authenticationSeconds: 5 }\n")
	random := make([]byte, 100_000)
	if _, err := rand.Read(random); err != nil {
		t.Fatal(err)
	}
	for _, data := range [][]byte{
		[]byte("GET / HTTP/1.0\r\n\r\n"), random, append([]byte("SSH-2.0-x\r\n"), random...),
		append([]byte("SSH-2.0-x\r\n"), 0xff, 0xff, 0xff, 0xff, 0), append([]byte("SSH-2.0-x\r\n"), packet([]byte{30})...),
		[]byte("SSH-1.5-x\r\n"), bytes.Repeat([]byte("a"), 100_000),
	} {
		conn := s.connect()
		_, _ = conn.Write(data)
		if !ends(conn) {
			t.Errorf("%.20q is accepted", data)
		}
		conn.Close()
	}
	// On a busy machine a login may need more time than it has.
	if !eventually(func() bool { return s.ssh("root", nil, "echo in").stdout == "in\n" }) {
		t.Error("no login")
	}
	if strings.Contains(s.read("log"), "by signal") {
		t.Error("a speaker crashed")
	}
}

// The processes have the privileges of roles.json.
func TestProcessesHaveOnlyTheirPrivileges(t *testing.T) {
	s := start(t, "")
	client, err := s.dial("ann", s.signer())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start("sleep 60"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"sshd-monitor":  "uid 0 caps 00000000000020e0 nnp 1 seccomp 0",
		"sshd-listener": "uid 690 caps 0000000000000000 nnp 1 seccomp 2",
		"sshd-keys":     "uid 691 caps 0000000000000000 nnp 1 seccomp 2",
		"sshd-speaker":  "uid 692 caps 0000000000000000 nnp 1 seccomp 2",
		"sshd-session":  "uid 1234 caps 0000000000000000 nnp 1 seccomp 0",
	} {
		if got := s.privileges(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// privileges returns those of the process with a name.
func (s *server) privileges(name string) string {
	paths, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, path := range paths {
		directory := filepath.Dir(path)
		comm, _ := os.ReadFile(path)
		environment, _ := os.ReadFile(filepath.Join(directory, "environ"))
		if strings.TrimSpace(string(comm)) != name || !bytes.Contains(environment, []byte(fmt.Sprintf(`"Port":%d`, s.port))) {
			continue
		}
		status, _ := os.ReadFile(filepath.Join(directory, "status"))
		fields := map[string]string{}
		for line := range strings.Lines(string(status)) {
			key, value, _ := strings.Cut(line, ":")
			fields[key], _, _ = strings.Cut(strings.TrimSpace(value), "\t")
		}
		return fmt.Sprintf("uid %s caps %s nnp %s seccomp %s", fields["Uid"], fields["CapPrm"], fields["NoNewPrivs"], fields["Seccomp"])
	}
	return "no process"
}
