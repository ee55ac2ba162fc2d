package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

// Checks of OpenSSH's regression tests, each under the name of its script.
func TestOpenSSHRegress(t *testing.T) {
	s := start(t, "")
	for name, check := range map[string]func(*server){
		"exit-status": testExitStatus, "stderr-data": testStandardError, "yes-head": testYesHead, "transfer": testTransfer,
		"try-ciphers": testCiphers, "kextype": testKeyExchanges, "rekey": testRekey, "multiplex": testMultiplex,
		"forward-control": testForwardControl, "envpass": testEnvironmentNames, "sftp-badcmds": testBadTransfers,
		"agent": testNoAgent, "brokenkeys": testBrokenKeys, "connect": testManyConnections,
	} {
		t.Run(name, func(t *testing.T) { s.t = t; check(s) })
	}
	s.t = t
}

func testExitStatus(s *server) {
	for _, status := range []int{0, 1, 4, 5, 44, 255} {
		for _, options := range [][]string{nil, {"-n"}, {"-tt"}} {
			got := s.ssh("ann", options, fmt.Sprintf("exit %d", status))
			if got.status != status || got.stdout != "" {
				s.t.Errorf("%d with %v: %+v", status, options, got)
			}
		}
	}
	// The status is that of the command, although its output is open for longer.
	s.expect("with open output", s.ssh("ann", nil, "sleep 1 & exit 44"), done{44, "", ""})
}

func testStandardError(s *server) {
	data := strings.Repeat("error\n", 100_000)
	s.write("data", data)
	for _, options := range [][]string{nil, {"-n"}} {
		got := s.ssh("ann", options, fmt.Sprintf("cat %s/data >&2; exit 3", s.dir))
		if got.status != 3 || got.stdout != "" || got.stderr != data {
			s.t.Errorf("%v: status %d, %d and %d bytes", options, got.status, len(got.stdout), len(got.stderr))
		}
	}
}

// A program whose reader ends is ended by SIGPIPE, which has its default action.
func testYesHead(s *server) {
	got := s.ssh("ann", nil, "yes | head -n 2000")
	s.expect("lines", got, done{0, strings.Repeat("y\n", 2000), ""})
	s.expect("mask of signals", s.ssh("ann", nil, "grep -E '^Sig(Blk|Ign)' /proc/self/status"),
		done{0, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n", ""})
}

func testTransfer(s *server) {
	// Sizes around those of packets and windows.
	for _, size := range []int{1, 10, 1023, 32_767, 32_768, 32_769, 131_072, 2_097_151, 2_097_153} {
		data := make([]byte, size)
		if _, err := rand.Read(data); err != nil {
			s.t.Fatal(err)
		}
		got := s.sshWith(data, "ann", nil, "cat > copy; cat copy")
		if got.status != 0 || !bytes.Equal([]byte(got.stdout), data) {
			s.t.Errorf("%d bytes: status %d, %d bytes, %s", size, got.status, len(got.stdout), got.stderr)
		}
	}
}

// offered returns the algorithms that the server offers under a label of the client's log.
func (s *server) offered(label string) []string {
	s.t.Helper()
	got := s.ssh("ann", []string{"-vv", "-o", "LogLevel=DEBUG2"}, "true")
	_, offer, _ := strings.Cut(got.stderr, "peer server KEXINIT proposal")
	_, line, found := strings.Cut(offer, "debug2: "+label+": ")
	line, _, _ = strings.Cut(line, "\n")
	if !found {
		s.t.Fatalf("no %q in %s", label, got.stderr)
	}
	return strings.Split(strings.TrimSpace(line), ",")
}

func testCiphers(s *server) {
	ciphers, codes := s.offered("ciphers stoc"), s.offered("MACs stoc")
	if len(ciphers) < 3 || len(codes) < 1 {
		s.t.Errorf("%v, %v", ciphers, codes)
	}
	for _, cipher := range ciphers {
		s.expect(cipher, s.ssh("ann", []string{"-c", cipher}, "echo in"), done{0, "in\n", ""})
	}
	for _, code := range codes {
		s.expect(code, s.ssh("ann", []string{"-c", "aes128-ctr", "-m", code}, "echo in"), done{0, "in\n", ""})
	}
}

func testKeyExchanges(s *server) {
	count := 0
	for _, kex := range s.offered("KEX algorithms") {
		if strings.HasPrefix(kex, "ext-info") || strings.HasPrefix(kex, "kex-strict") {
			continue
		}
		count++
		s.expect(kex, s.ssh("ann", []string{"-o", "KexAlgorithms=" + kex}, "echo in"), done{0, "in\n", ""})
	}
	if count < 3 {
		s.t.Errorf("%d key exchanges", count)
	}
}

// With each kind of packet protection, in both directions, and without data.
func testRekey(s *server) {
	data := make([]byte, 1_500_000)
	if _, err := rand.Read(data); err != nil {
		s.t.Fatal(err)
	}
	for _, options := range [][]string{
		{"-c", "aes128-gcm@openssh.com"}, {"-c", "chacha20-poly1305@openssh.com"}, {"-c", "aes256-ctr"},
		{"-o", "KexAlgorithms=curve25519-sha256"}, {"-o", "KexAlgorithms=ecdh-sha2-nistp256"},
	} {
		options = append(options, "-v", "-o", "LogLevel=DEBUG1", "-o", "RekeyLimit=256k")
		got := s.sshWith(data, "ann", options, "cat")
		if got.status != 0 || !bytes.Equal([]byte(got.stdout), data) {
			s.t.Errorf("%v: status %d, %d bytes", options, got.status, len(got.stdout))
		}
		if exchanges := strings.Count(got.stderr, "SSH2_MSG_NEWKEYS received"); exchanges < 4 {
			s.t.Errorf("%v: %d key exchanges", options, exchanges)
		}
	}
	// After a second without data, by the client.
	got := s.ssh("ann", []string{"-v", "-o", "LogLevel=DEBUG1", "-o", "RekeyLimit=default 1"}, "sleep 2; echo a; sleep 2; echo b")
	if got.status != 0 || got.stdout != "a\nb\n" || strings.Count(got.stderr, "SSH2_MSG_NEWKEYS received") < 2 {
		s.t.Errorf("%+v", got)
	}
}

// Sessions of one connection, one after the other and at the same time.
func testMultiplex(s *server) {
	path := filepath.Join(s.dir, "control")
	control := []string{"-o", "ControlPath=" + path}
	master := s.ssh("ann", append([]string{"-f", "-N", "-o", "ControlMaster=yes", "-o", "ControlPersist=yes"}, control...))
	if master.status != 0 {
		s.t.Fatalf("%+v", master)
	}
	defer s.ssh("ann", append([]string{"-O", "exit"}, control...))
	for _, status := range []int{0, 5} {
		s.expect("status", s.ssh("ann", control, fmt.Sprintf("echo in; exit %d", status)), done{status, "in\n", ""})
	}
	var group sync.WaitGroup
	results := make([]done, 8)
	for i := range results {
		group.Add(1)
		go func() {
			defer group.Done()
			input := bytes.Repeat([]byte{'a' + byte(i)}, 200_000)
			results[i] = s.sshWith(input, "ann", control, fmt.Sprintf("cat; exit %d", i))
		}()
	}
	group.Wait()
	for i, got := range results {
		if got.status != i || got.stdout != strings.Repeat(string(rune('a'+i)), 200_000) {
			s.t.Errorf("session %d: status %d, %d bytes, %s", i, got.status, len(got.stdout), got.stderr)
		}
	}
	local := s.write("multiplexed", "by the same connection\n")
	got := s.client("sftp", nil, append(append([]string{}, common...), "-o", "ControlPath="+path, "-b", s.write("put", "put "+local+"\n"),
		"-P", fmt.Sprint(s.port), "ann@127.0.0.1")...)
	if got.status != 0 || s.read("ann/multiplexed") != "by the same connection\n" {
		s.t.Errorf("%+v", got)
	}
	if got := s.ssh("ann", append([]string{"-O", "check"}, control...)); got.status != 0 {
		s.t.Errorf("the connection ended: %+v", got)
	}
}

func testForwardControl(s *server) {
	for _, options := range [][]string{
		{"-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1"},
		{"-o", "ExitOnForwardFailure=yes", "-R", filepath.Join(s.dir, "remote.sock") + ":127.0.0.1:1"},
		{"-o", "ExitOnForwardFailure=yes", "-w", "0:0"},
	} {
		if got := s.ssh("root", options, "true"); got.status != 255 {
			s.t.Errorf("%v: %+v", options, got)
		}
	}
	// The client listens, and the server refuses the channel.
	got := s.ssh("root", []string{"-v", "-W", filepath.Join(s.dir, "local.sock")})
	if got.status != 255 {
		s.t.Errorf("%+v", got)
	}
	if got := s.ssh("root", []string{"-X"}, "echo display=$DISPLAY"); !strings.HasPrefix(got.stdout, "display=\n") {
		s.t.Errorf("%+v", got)
	}
}

func testNoAgent(s *server) {
	if got := s.ssh("ann", []string{"-A"}, "echo socket=$SSH_AUTH_SOCK"); got.stdout != "socket=\n" {
		s.t.Errorf("%+v", got)
	}
}

// Only names that cannot change how programs are loaded or found.
func testEnvironmentNames(s *server) {
	var options []string
	for _, name := range []string{"LD_PRELOAD=/x", "PATH=/x", "HOME=/x", "BASH_ENV=/x", "ENV=/x", "SHELL=/x", "LKT_SANDBOX_SETUP={}", "LC_B=accepted", "LANG=C"} {
		options = append(options, "-o", "SetEnv="+name)
	}
	for _, option := range options {
		if option == "-o" {
			continue
		}
		name, value, _ := strings.Cut(strings.TrimPrefix(option, "SetEnv="), "=")
		got := s.ssh("ann", []string{"-o", option}, "env")
		isSet := strings.Contains("\n"+got.stdout, "\n"+name+"="+value+"\n")
		if wanted := name == "LC_B" || name == "LANG"; got.status != 0 || isSet != wanted {
			s.t.Errorf("%s: %+v", option, got)
		}
	}
}

func testBadTransfers(s *server) {
	options := append(append([]string{}, common...), "-i", s.identity, "-P", fmt.Sprint(s.port))
	for name, batch := range map[string]string{
		"get of a missing file":               "get missing\n",
		"get of a directory":                  "get .\n",
		"put to a missing directory":          "put " + s.identity + " missing/file\n",
		"rename of a missing file":            "rename missing other\n",
		"rename over a directory":             "mkdir d1\nmkdir d1/d2\nrename d1 d1/d2\n",
		"removal of a full directory as file": "mkdir d3\nmkdir d3/d\nrm d3\n",
		"change to a file":                    "put " + s.identity + " file\ncd file\n",
		"removal of a full directory":         "mkdir d4\nmkdir d4/d5\nrmdir d4\n",
		"removal of an empty directory":       "mkdir d6\nrm d6\n",
		"removal of a file as directory":      "put " + s.identity + " file2\nrmdir file2\n",
		"removal of a link as directory":      "mkdir d7\nsymlink d7 link\nrmdir link\n",
		"mode of another's file":              "chmod 777 " + s.dir + "/id\n",
	} {
		got := s.client("sftp", nil, append(options, "-b", s.write("batch", batch), "ann@127.0.0.1")...)
		if got.status != 1 {
			s.t.Errorf("%s: %+v", name, got)
		}
	}
	for _, name := range []string{"d6", "file2", "link"} {
		if _, err := os.Lstat(filepath.Join(s.dir, "ann", name)); err != nil {
			s.t.Error(err)
		}
	}
	if info, err := os.Stat(s.identity); err != nil || info.Mode().Perm() != 0o600 {
		s.t.Errorf("%v, %v", info, err)
	}
	if got := s.ssh("ann", []string{"-s"}, "unknown"); got.status != 255 || !strings.Contains(got.stderr, "subsystem request failed") {
		s.t.Errorf("%+v", got)
	}
}

// Lines that are no keys do not hide those that follow.
func testBrokenKeys(s *server) {
	public := s.read("id.pub")
	defer s.authorize("ann", public)
	s.authorize("ann", "ssh-ed25519\n# comment\n\nssh-ed25519 AAAA broken\nunknown-option ssh-ed25519 AAAA\nssh-rsa "+strings.Repeat("A", 3000)+"\n"+public)
	s.expect("key after broken ones", s.ssh("ann", nil, "echo in"), done{0, "in\n", ""})
	s.authorize("ann", strings.Replace(public, "AAAAC3", "AAAAC4", 1))
	if got := s.ssh("ann", nil, "true"); got.status != 255 {
		s.t.Errorf("%+v", got)
	}
}

// As many connections at once as one address may have before they log in, less one.
func testManyConnections(s *server) {
	var group sync.WaitGroup
	results := make([]done, 4)
	for i := range results {
		group.Add(1)
		go func() {
			defer group.Done()
			results[i] = s.ssh("ann", nil, fmt.Sprintf("echo %d; exit %d", i, i))
		}()
	}
	group.Wait()
	for i, got := range results {
		s.expect("connection", got, done{i, fmt.Sprintf("%d\n", i), ""})
	}
}

// Names in certificates: any of them, and only those.
func TestCertificatePrincipals(t *testing.T) {
	dir := t.TempDir()
	s := &server{t: t}
	var authorities []string
	for _, name := range []string{"ca", "other"} {
		s.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, name))
		public, err := os.ReadFile(filepath.Join(dir, name+".pub"))
		if err != nil {
			t.Fatal(err)
		}
		authorities = append(authorities, strings.TrimSpace(string(public)))
	}
	s = start(t, fmt.Sprintf("trustedUserCAKeys: ['%s']\n", authorities[0]))
	for _, user := range []string{"ann", "root"} {
		s.authorize(user, "")
	}
	for name, test := range map[string]struct {
		authority string
		arguments []string
		users     string
	}{
		"several names":         {"ca", []string{"-n", "first,ann,last"}, "ann"},
		"both users":            {"ca", []string{"-n", "ann,root"}, "ann root"},
		"part of a name":        {"ca", []string{"-n", "an,anna"}, ""},
		"pattern":               {"ca", []string{"-n", "*"}, ""},
		"no name":               {"ca", nil, ""},
		"unknown authority":     {"other", []string{"-n", "ann"}, ""},
		"not yet valid":         {"ca", []string{"-n", "ann", "-V", "+1h:+2h"}, ""},
		"source address":        {"ca", []string{"-n", "ann", "-O", "source-address=127.0.0.0/8"}, "ann"},
		"unknown critical":      {"ca", []string{"-n", "ann", "-O", "critical:no@example.com=x"}, ""},
		"unknown extension":     {"ca", []string{"-n", "ann", "-O", "extension:no@example.com=x"}, "ann"},
		"certificate of a host": {"ca", []string{"-n", "ann", "-h"}, ""},
	} {
		s.run("ssh-keygen", append(append([]string{"-q", "-s", filepath.Join(dir, test.authority), "-I", "person"}, test.arguments...), s.identity+".pub")...)
		var in []string
		for _, user := range []string{"ann", "root"} {
			if got := s.ssh(user, []string{"-o", "CertificateFile=" + s.identity + "-cert.pub"}, "echo in"); got == (done{0, "in\n", ""}) {
				in = append(in, user)
			} else if got.status != 255 {
				t.Errorf("%s as %s: %+v", name, user, got)
			}
		}
		if users := strings.Join(in, " "); users != test.users {
			t.Errorf("%s: logs in as %q, not as %q", name, users, test.users)
		}
	}
	// Without the extension there is no terminal.
	s.run("ssh-keygen", "-q", "-s", filepath.Join(dir, "ca"), "-I", "person", "-n", "ann", "-O", "no-pty", s.identity+".pub")
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(s.read("id-cert.pub")))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewCertSigner(public.(*ssh.Certificate), s.signer())
	if err != nil {
		t.Fatal(err)
	}
	s.expectNoTerminal("certificate", []string{"-o", "CertificateFile=" + s.identity + "-cert.pub"}, signer, "not a tty\n\n")
}
