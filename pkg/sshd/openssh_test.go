package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Debian's OpenSSH is the peer of these tests.
func TestOpenSSHClient(t *testing.T) {
	s := start(t, "")
	t.Run("commands", func(t *testing.T) { s.t = t; testCommands(s) })
	t.Run("users", func(t *testing.T) { s.t = t; testUsers(s) })
	t.Run("terminals", func(t *testing.T) { s.t = t; testTerminals(s) })
	t.Run("environment", func(t *testing.T) { s.t = t; testEnvironment(s) })
	t.Run("files", func(t *testing.T) { s.t = t; testFiles(s) })
	t.Run("keys", func(t *testing.T) { s.t = t; testKeys(s) })
	t.Run("algorithms", func(t *testing.T) { s.t = t; testAlgorithms(s) })
	t.Run("forwarding is off", func(t *testing.T) { s.t = t; testNoForwarding(s) })
	t.Run("log", func(t *testing.T) { s.t = t; testLog(s) })
	s.t = t
}

func testCommands(s *server) {
	s.expect("status and streams", s.ssh("root", nil, "echo out; echo err >&2; exit 3"), done{3, "out\n", "err\n"})
	s.expect("input", s.sshWith([]byte("a\nb\n"), "root", nil, "sort -r"), done{0, "b\na\n", ""})
	s.expect("shell", s.sshWith([]byte("echo $0\n"), "root", []string{"-T"}), done{0, "-sh\n", ""})
	s.expect("signal", s.ssh("root", nil, "kill -TERM $$"), done{255, "", ""})
	large := make([]byte, 5_000_000)
	if _, err := rand.Read(large); err != nil {
		s.t.Fatal(err)
	}
	// A new key exchange after each megabyte.
	got := s.sshWith(large, "root", []string{"-o", "RekeyLimit=1M"}, "cat")
	if got.status != 0 || !bytes.Equal([]byte(got.stdout), large) {
		s.t.Errorf("status %d, %d bytes, %s", got.status, len(got.stdout), got.stderr)
	}
	// The client ends although a program that it left behind has the output open.
	s.expect("left behind", s.ssh("root", []string{"-f", "-n"}, "true"), done{0, "", ""})
}

func testUsers(s *server) {
	s.expect("user and groups", s.ssh("ann", nil, "id -u; id -g; id -G; pwd; echo $HOME $USER"),
		done{0, fmt.Sprintf("1234\n1235\n1235 1236\n%s/ann\n%s/ann ann\n", s.dir, s.dir), ""})
	none := strings.Repeat("0", 16)
	raw := "0000000000002000" // the container's extra capability
	for user, set := range map[string]string{"ann": none, "root": raw} {
		got := s.ssh(user, nil, "grep -E '^(Cap(Inh|Prm|Eff|Amb)|NoNewPrivs)' /proc/self/status")
		want := fmt.Sprintf("CapInh:\t%s\nCapPrm:\t%s\nCapEff:\t%s\nCapAmb:\t%s\nNoNewPrivs:\t1\n", none, set, set, none)
		s.expect("capabilities of "+user, got, done{0, want, ""})
	}
	s.expect("descriptors", s.ssh("ann", nil, "echo /proc/self/fd/*"), done{0, "/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3\n", ""})
	s.expect("memory", s.ssh("ann", nil, "cat /proc/self/oom_score_adj"), done{0, "500\n", ""})
	for _, user := range []string{"bin", "", "stranger"} {
		if got := s.ssh(user, nil, "true"); got.status != 255 {
			s.t.Errorf("%q: %+v", user, got)
		}
	}
}

func testTerminals(s *server) {
	got := s.ssh("ann", []string{"-tt"}, "tty; stty size; echo $TERM; test -t 0 && stat -c %U $SSH_TTY; exit 4")
	if !regexp.MustCompile(`^/dev/pts/\d+\r\n0 0\r\nvt220\r\n(ann|1234|UNKNOWN)\r\n$`).MatchString(got.stdout) || got.status != 4 {
		s.t.Errorf("%+v", got)
	}
	if got := s.ssh("ann", nil, "tty"); got.stdout != "not a tty\n" {
		s.t.Errorf("%+v", got)
	}
	// The kernel ends what is left in the terminal.
	got = s.ssh("ann", []string{"-tt"}, "trap 'echo hup > ~/hup' HUP; sleep 60 & exit 0")
	if got.status != 0 {
		s.t.Errorf("%+v", got)
	}
}

func testEnvironment(s *server) {
	got := s.ssh("root", []string{"-o", "SendEnv=LC_TEST OTHER"}, "echo $LC_TEST:$OTHER:$PATH:$LKT_SANDBOX_SETUP$SSHD_SETUP")
	s.expect("variables", got, done{0, "accepted::/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin:\n", ""})
	got = s.ssh("root", nil, "echo $SSH_CONNECTION")
	if !regexp.MustCompile(fmt.Sprintf(`^127\.0\.0\.1 \d+ 127\.0\.0\.1 %d\n$`, s.port)).MatchString(got.stdout) {
		s.t.Errorf("%+v", got)
	}
}

func testFiles(s *server) {
	data := bytes.Repeat([]byte("sftp "), 200_000)
	local := s.write("local", string(data))
	batch := s.write("batch", fmt.Sprintf("put %s\nchmod 600 local\nrename local copy\nmkdir d\nsymlink copy link\nls -l\nget copy %s/back\nrmdir d\nrm link\n", local, s.dir))
	options := append(append([]string{}, common...), "-i", s.identity, "-P", fmt.Sprint(s.port))
	got := s.client("sftp", nil, append(options, "-b", batch, "ann@127.0.0.1")...)
	if got.status != 0 || s.read("back") != string(data) {
		s.t.Errorf("%+v", got)
	}
	info, err := os.Stat(filepath.Join(s.dir, "ann/copy"))
	if err != nil || info.Mode() != 0o600 {
		s.t.Errorf("%v, %v", info, err)
	}
	got = s.client("scp", nil, append(options, "ann@127.0.0.1:copy", filepath.Join(s.dir, "back2"))...)
	if got.status != 0 || s.read("back2") != string(data) {
		s.t.Errorf("%+v", got)
	}
	// It has the rights of the user.
	got = s.client("scp", nil, append(options, local, "ann@127.0.0.1:"+s.dir+"/root/x")...)
	if got.status == 0 {
		s.t.Error("ann wrote to root's directory")
	}
}

func testKeys(s *server) {
	public := s.read("id.pub")
	defer s.authorize("ann", public)
	key := func(name string, arguments ...string) []string {
		path := filepath.Join(s.dir, name)
		s.run("ssh-keygen", append([]string{"-q", "-N", "", "-f", path}, arguments...)...)
		return []string{"-i", path}
	}
	stranger := key("stranger", "-t", "ed25519")
	if got := s.ssh("ann", stranger, "true"); got.status != 255 || !strings.Contains(got.stderr, "Permission denied (publickey)") {
		s.t.Errorf("%+v", got)
	}
	for _, kind := range []string{"ecdsa", "rsa"} {
		options := key(kind, "-t", kind)
		s.authorize("ann", s.read(kind+".pub"))
		s.expect(kind, s.ssh("ann", options, "echo in"), done{0, "in\n", ""})
	}
	s.authorize("ann", `restrict,command="echo forced $SSH_ORIGINAL_COMMAND" `+public)
	s.expect("forced command", s.ssh("ann", nil, "id"), done{0, "forced id\n", ""})
	s.authorize("ann", `restrict,command="echo forced" `+public)
	s.expectNoTerminal("forced command", nil, s.signer(), "forced\n")
	for _, option := range []string{"no-pty", "restrict", "restrict,pty,no-pty"} {
		s.authorize("ann", option+" "+public)
		s.expectNoTerminal(option, nil, s.signer(), "not a tty\n\n")
		s.expect(option+", not requested", s.ssh("ann", nil, "echo in"), done{0, "in\n", ""})
	}
	s.authorize("ann", "restrict,pty "+public)
	if got := s.ssh("ann", []string{"-tt"}, "tty"); got.status != 0 || !strings.HasPrefix(got.stdout, "/dev/pts/") {
		s.t.Errorf("restrict,pty: %+v", got)
	}
	s.authorize("ann", `from="192.0.2.1" `+public)
	if got := s.ssh("ann", nil, "true"); got.status != 255 {
		s.t.Errorf("%+v", got)
	}
	// Files that others could have written do not count.
	s.authorize("ann", public)
	file := filepath.Join(s.dir, "ann/.ssh/authorized_keys")
	for _, mode := range []os.FileMode{0o622, 0o600} {
		if err := os.Chmod(file, mode); err != nil {
			s.t.Fatal(err)
		}
		if got := s.ssh("ann", nil, "true"); (got.status == 0) != (mode == 0o600) {
			s.t.Errorf("%o: %+v", mode, got)
		}
	}
	if got := s.ssh("ann", []string{"-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=password,keyboard-interactive"}, "true"); got.status != 255 ||
		!strings.Contains(got.stderr, "Permission denied (publickey)") {
		s.t.Errorf("%+v", got)
	}
}

func testAlgorithms(s *server) {
	got := s.ssh("root", []string{"-vv", "-o", "LogLevel=DEBUG2"}, "true")
	for _, want := range []string{
		"kex: algorithm: mlkem768x25519-sha256", "kex-strict-s-v00@openssh.com", "resetting read seqnr",
		"host key algorithm: ssh-ed25519", "remote software version lkt",
	} {
		if !strings.Contains(got.stderr, want) {
			s.t.Errorf("no %q in %s", want, got.stderr)
		}
	}
	_, offer, _ := strings.Cut(got.stderr, "peer server KEXINIT proposal")
	offer, _, found := strings.Cut(offer, "kex: algorithm")
	for _, weak := range []string{"sha1", "cbc", "hmac-md5", "ssh-dss", "3des", "arcfour"} {
		if !found || strings.Contains(offer, weak) {
			s.t.Errorf("offers %s", weak)
		}
	}
	for _, option := range []string{
		"KexAlgorithms=curve25519-sha256", "KexAlgorithms=ecdh-sha2-nistp256", "Ciphers=aes128-gcm@openssh.com",
		"Ciphers=chacha20-poly1305@openssh.com", "Ciphers=aes256-ctr",
	} {
		s.expect(option, s.ssh("root", []string{"-o", option}, "echo in"), done{0, "in\n", ""})
	}
	if got := s.ssh("root", []string{"-o", "KexAlgorithms=diffie-hellman-group14-sha1"}, "true"); got.status != 255 {
		s.t.Errorf("%+v", got)
	}
}

func testNoForwarding(s *server) {
	got := s.ssh("root", []string{"-v", "-W", s.address()})
	if got.status != 255 || !strings.Contains(got.stderr, "administratively prohibited") {
		s.t.Errorf("%+v", got)
	}
	got = s.ssh("root", []string{"-o", "ExitOnForwardFailure=yes", "-R", "127.0.0.1:0:127.0.0.1:1"}, "true")
	if got.status != 255 || !strings.Contains(got.stderr, "remote port forwarding failed") {
		s.t.Errorf("%+v", got)
	}
}

func testLog(s *server) {
	for _, want := range []string{
		`(?m)^sshd: host key SHA256:\S{43}$`,
		`(?m)^sshd: ann logs in from 127\.0\.0\.1:\d+ with ssh-ed25519 SHA256:\S{43}$`,
		`(?m)^sshd: ann from 127\.0\.0\.1:\d+ logs out$`,
		`(?m)^sshd: 127\.0\.0\.1: no login as stranger$`,
	} {
		// Processes write lines after the client has its answer.
		line := regexp.MustCompile(want)
		if !eventually(func() bool { return line.MatchString(s.read("log")) }) {
			s.t.Errorf("no %s in\n%s", want, s.read("log"))
		}
	}
	text := s.read("log")
	if strings.Contains(text, "ended by signal") || strings.Contains(text, "panic") {
		s.t.Errorf("a process crashed:\n%s", text)
	}
}

func TestCertificates(t *testing.T) {
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca")
	s := &server{t: t}
	s.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", ca)
	public, err := os.ReadFile(ca + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	s = start(t, fmt.Sprintf("trustedUserCAKeys: ['%s']\n", strings.TrimSpace(string(public))))
	s.authorize("ann", "")
	certify := func(arguments ...string) []string {
		s.run("ssh-keygen", append(append([]string{"-q", "-s", ca, "-I", "person"}, arguments...), s.identity+".pub")...)
		return []string{"-i", s.identity, "-o", "CertificateFile=" + s.identity + "-cert.pub"}
	}
	s.expect("certificate", s.ssh("ann", certify("-n", "ann", "-V", "+1h"), "echo in"), done{0, "in\n", ""})
	s.expect("command", s.ssh("ann", certify("-n", "ann", "-O", "force-command=echo forced"), "id"), done{0, "forced\n", ""})
	for name, options := range map[string][]string{
		"another user": certify("-n", "root", "-V", "+1h"),
	} {
		if got := s.ssh("ann", options, "true"); got.status != 255 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for _, arguments := range [][]string{{"-n", "ann", "-V", "-2h:-1h"}, {"-V", "+1h"}, {"-n", "ann", "-h"}, {"-n", "ann", "-O", "source-address=192.0.2.1"}} {
		if got := s.ssh("ann", certify(arguments...), "true"); got.status != 255 {
			t.Errorf("%q: %+v", arguments, got)
		}
	}
	s.until(`of certificate "person", serial 0`)
}

func TestForwarding(t *testing.T) {
	s := start(t, "forwarding: { local: true, remote: true }\n")
	// This server is the destination.
	got := s.sshWith([]byte("SSH-2.0-test\r\n"), "root", []string{"-W", s.address()})
	if !strings.HasPrefix(got.stdout, "SSH-2.0-lkt\r\n") {
		t.Errorf("%+v", got)
	}
	got = s.ssh("root", []string{"-W", "127.0.0.1:1"})
	if got.status != 255 || !strings.Contains(got.stderr, "forwarding failed") {
		t.Errorf("%+v", got)
	}
	port := freePort(t)
	got = s.ssh("root", []string{"-o", "ExitOnForwardFailure=yes", "-R", fmt.Sprintf("%d:%s", port, s.address())},
		fmt.Sprintf("exec 3<>/dev/tcp/127.0.0.1/%d && head -c 11 <&3", port))
	if !strings.Contains(got.stdout, "SSH-2.0-lkt") {
		// The shell may lack /dev/tcp.
		got = s.ssh("root", []string{"-o", "ExitOnForwardFailure=yes", "-R", fmt.Sprintf("%d:%s", port, s.address())},
			fmt.Sprintf("ssh-keyscan -T 20 -p %d 127.0.0.1", port))
		if !strings.Contains(got.stdout, "ssh-ed25519 ") {
			t.Errorf("%+v", got)
		}
	}
	public := s.read("id.pub")
	s.authorize("root", "restrict "+public)
	if got := s.ssh("root", []string{"-W", s.address()}); got.status != 255 {
		t.Errorf("%+v", got)
	}
	s.authorize("root", `permitopen="127.0.0.1:9" `+public)
	if got := s.ssh("root", []string{"-W", s.address()}); got.status != 255 {
		t.Errorf("%+v", got)
	}
}
