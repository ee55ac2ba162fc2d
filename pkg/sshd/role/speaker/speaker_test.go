package speaker

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"lkt/sshd/channel"
	"lkt/sshd/message"
	"lkt/sshd/settings"
)

// newKeys returns keys whose process refuses everything.
func newKeys(t testing.TB) *remoteKeys {
	t.Helper()
	a, b, err := channel.Pair()
	if err != nil {
		t.Fatal(err)
	}
	ours, err := channel.Open(a)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := channel.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	host, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			m, _, err := theirs.Receive(nil)
			if err != nil {
				return
			}
			var answer message.Message = &message.Verdict{}
			if sign, ok := m.(*message.Sign); ok {
				answer = &message.Signed{Signature: ed25519.Sign(private, sign.Hash)}
			}
			_ = theirs.Send(answer)
		}
	}()
	return &remoteKeys{channel: ours, host: host}
}

// connected returns both ends of a connection with buffers, which net.Pipe lacks.
func connected(t *testing.T) (a, b net.Conn) {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if a, err = net.Dial("tcp", socket.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = socket.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// A client gets the host key's signature, and no login that the keys process does not allow.
func TestLoginNeedsTheKeysProcess(t *testing.T) {
	keys := newKeys(t)
	ours, theirs := connected(t)
	go func() {
		if _, _, _, err := ssh.NewServerConn(ours, keys.config(3)); err == nil {
			t.Error("login")
		}
	}()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	sawHost := false
	_, _, _, err = ssh.NewClientConn(theirs, "", &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			sawHost = string(key.Marshal()) == string(keys.host.Marshal())
			return nil
		},
	})
	if err == nil || !sawHost {
		t.Errorf("%v, host key %v", err, sawHost)
	}
}

// FuzzClient is a client that sends any bytes before the encryption starts.
func FuzzClient(f *testing.F) {
	keys := newKeys(f)
	f.Add([]byte("SSH-2.0-x\r\n\x00\x00\x00\x0c\x0a\x02\x00\x00\x00\x00"))
	f.Add([]byte("SSH-2.0-x\r\n\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		ours, theirs := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		go func() {
			_, _ = theirs.Write(data)
			theirs.Close()
		}()
		if _, _, _, err := ssh.NewServerConn(ours, keys.config(3)); err == nil {
			t.Error("login")
		}
	})
}

// FuzzRequest is a client that sends any request on a channel.
func FuzzRequest(f *testing.F) {
	f.Add("pty-req", []byte("\x00\x00\x00\x01x\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add("env", []byte("\x00\x00\x00\x04LANG\x00\x00\x00\x01C"))
	f.Add("window-change", make([]byte, 16))
	f.Add("signal", []byte("\x00\x00\x00\x04TERM"))
	a, b, err := channel.Pair()
	if err != nil {
		f.Fatal(err)
	}
	ours, err := channel.Open(a)
	if err != nil {
		f.Fatal(err)
	}
	theirs, err := channel.Open(b)
	if err != nil {
		f.Fatal(err)
	}
	go func() {
		for {
			if _, _, err := theirs.Receive(nil); err != nil {
				return
			}
		}
	}()
	f.Fuzz(func(t *testing.T, kind string, payload []byte) {
		if kind == "shell" || kind == "exec" || kind == "subsystem" {
			return
		}
		p := &program{server: &server{session: ours, settings: settings.Default(), terminal: true}}
		for range 2 {
			p.handle(&ssh.Request{Type: kind, Payload: payload}, nil)
		}
		if len(p.start.Environment) > 2 || p.started {
			t.Errorf("%+v", p.start)
		}
	})
}

func TestIdleConnectionEnds(t *testing.T) {
	ours, theirs := net.Pipe()
	w := &watched{Conn: ours}
	w.read.Store(time.Now().UnixNano())
	go w.closeWhenIdle(100 * time.Millisecond)
	_ = theirs.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := theirs.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}
