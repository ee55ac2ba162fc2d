// Package speaker is the process that speaks SSH with one client. All bytes of the network are
// parsed here, without a capability, a file or a key.
package speaker

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"lkt/sshd/authority"
	"lkt/sshd/channel"
	"lkt/sshd/message"
	"lkt/sshd/setup"
)

// Run serves the client until it or another process ends.
func Run(s setup.Setup, enter func() error) error {
	file := os.NewFile(setup.SpeakerSocket, "socket")
	socket, err := net.FileConn(file)
	if err != nil {
		return err
	}
	file.Close()
	keyChannel, err := channel.Open(setup.SpeakerKeys)
	if err != nil {
		return err
	}
	sessionChannel, err := channel.Open(setup.SpeakerSession)
	if err != nil {
		return err
	}
	host, err := ssh.ParsePublicKey(s.HostKey)
	if err != nil {
		return err
	}
	if err := enter(); err != nil {
		return err
	}
	keys := &remoteKeys{channel: keyChannel, host: host}
	conn := &watched{Conn: socket}
	conn.read.Store(time.Now().UnixNano())
	server, channels, requests, err := ssh.NewServerConn(conn, keys.config(s.Settings.Limits.AuthenticationTries))
	if err != nil {
		return err
	}
	if idle := s.Settings.Limits.IdleSeconds; idle > 0 {
		go conn.closeWhenIdle(time.Duration(idle) * time.Second)
	}
	return serve(server, channels, requests, sessionChannel, s.Settings, keys.terminal)
}

// watched is a connection that remembers when it was last read.
type watched struct {
	net.Conn
	read atomic.Int64
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	w.read.Store(time.Now().UnixNano())
	return n, err
}

func (w *watched) closeWhenIdle(limit time.Duration) {
	for {
		left := limit - time.Since(time.Unix(0, w.read.Load()))
		if left <= 0 {
			w.Close()
			return
		}
		time.Sleep(left)
	}
}

// remoteKeys asks the keys process. A client may start a key exchange during its login.
type remoteKeys struct {
	channel *channel.Conn
	host    ssh.PublicKey
	asking  sync.Mutex
	// terminal reports whether the login may have terminals.
	terminal bool
}

func (k *remoteKeys) ask(m message.Message) (message.Message, error) {
	k.asking.Lock()
	defer k.asking.Unlock()
	if err := k.channel.Send(m); err != nil {
		return nil, err
	}
	answer, _, err := k.channel.Receive(nil)
	return answer, err
}

func (k *remoteKeys) config(tries int) *ssh.ServerConfig {
	config := &ssh.ServerConfig{
		Config: ssh.Config{
			KeyExchanges: []string{
				ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519, "curve25519-sha256@libssh.org",
				ssh.KeyExchangeECDHP256, ssh.KeyExchangeECDHP384, ssh.KeyExchangeECDHP521,
			},
			Ciphers: []string{
				ssh.CipherAES128GCM, ssh.CipherAES256GCM, ssh.CipherChaCha20Poly1305, ssh.CipherAES256CTR, ssh.CipherAES128CTR,
			},
			MACs: []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM},
		},
		ServerVersion:           "SSH-2.0-lkt",
		MaxAuthTries:            tries,
		PublicKeyAuthAlgorithms: authority.Algorithms(),
		PublicKeyCallback:       k.query,
		PublicKeyVerifier:       k.verify,
	}
	config.AddHostKey(hostSigner{k})
	return config
}

// query asks whether the key may log in. The algorithm is not known here, and a key of RSA has
// several: verify checks it.
func (k *remoteKeys) query(conn ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	algorithm := key.Type()
	switch algorithm {
	case ssh.KeyAlgoRSA:
		algorithm = ssh.KeyAlgoRSASHA256
	case ssh.CertAlgoRSAv01:
		algorithm = ssh.CertAlgoRSASHA256v01
	}
	_, err := k.verdict(&message.Query{User: conn.User(), Algorithm: algorithm, Key: key.Marshal()})
	return nil, err
}

func (k *remoteKeys) verify(conn ssh.ConnMetadata, algorithm string, key ssh.PublicKey, s *ssh.Signature) error {
	verdict, err := k.verdict(&message.Verify{
		User: conn.User(), Algorithm: algorithm, Key: key.Marshal(), Format: s.Format, Signature: s.Blob, Rest: s.Rest,
	})
	if err != nil {
		return err
	}
	k.terminal = verdict.Terminal
	return nil
}

func (k *remoteKeys) verdict(m message.Message) (*message.Verdict, error) {
	answer, err := k.ask(m)
	if err != nil {
		return nil, err
	}
	verdict, ok := answer.(*message.Verdict)
	if !ok || !verdict.OK {
		return nil, errors.New("not authorized")
	}
	return verdict, nil
}

// hostSigner is the host key of the keys process.
type hostSigner struct{ keys *remoteKeys }

func (s hostSigner) PublicKey() ssh.PublicKey { return s.keys.host }

func (s hostSigner) Sign(_ io.Reader, hash []byte) (*ssh.Signature, error) {
	answer, err := s.keys.ask(&message.Sign{Hash: hash})
	if err != nil {
		return nil, err
	}
	signed, ok := answer.(*message.Signed)
	if !ok {
		return nil, fmt.Errorf("host key: %w", message.ErrInvalid)
	}
	return &ssh.Signature{Format: s.keys.host.Type(), Blob: signed.Signature}, nil
}
