// Package keys is the process that has the host key and knows the authorized keys. It signs and
// verifies itself: whatever a speaker says, a login needs a signature that this process verified.
package keys

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"lkt/sshd/authority"
	"lkt/sshd/channel"
	"lkt/sshd/hostkey"
	"lkt/sshd/message"
	"lkt/sshd/setup"
)

const (
	// maxAuthorizedKeys is the maximum size of a file of authorized keys in bytes.
	maxAuthorizedKeys = 256 << 10
	// maxQueries is the maximum number of keys that a client may ask about.
	maxQueries = 64
)

type server struct {
	monitor *channel.Conn
	host    ssh.Signer
	trusted []ssh.PublicKey
	tries   int
	log     *logger
}

// Run serves speakers until the monitor ends.
func Run(s setup.Setup, enter func() error) error {
	monitor, err := channel.Open(setup.KeysMonitor)
	if err != nil {
		return err
	}
	text, err := readAll(setup.KeysHostKey, hostkey.MaxSize)
	if err != nil {
		return fmt.Errorf("host key: %w", err)
	}
	host, err := hostkey.Parse(text)
	if err != nil {
		return fmt.Errorf("host key: %w", err)
	}
	trusted, err := authority.Authorities(s.Settings.TrustedUserCAKeys)
	if err != nil {
		return err
	}
	if err := enter(); err != nil {
		return err
	}
	keys := &server{monitor: monitor, host: host, trusted: trusted, tries: s.Settings.Limits.AuthenticationTries, log: newLogger()}
	for {
		m, files, err := monitor.Receive(func(m message.Message) int {
			if m, ok := m.(*message.Connect); ok {
				return 1 + len(m.Users)
			}
			return 0
		})
		if err != nil {
			return err
		}
		connect, ok := m.(*message.Connect)
		if !ok {
			return message.ErrInvalid
		}
		if err := keys.connect(connect, files); err != nil {
			return err
		}
	}
}

func (k *server) connect(m *message.Connect, files []int) error {
	remote, err := netip.ParseAddrPort(m.Remote)
	if err != nil {
		channel.CloseAll(files)
		return err
	}
	c := &conn{server: k, id: m.ID, remote: remote.Addr(), keys: map[string][]byte{}}
	for i, fd := range files[1:] {
		text, err := readAll(fd, maxAuthorizedKeys)
		if err != nil {
			k.log.print("authorized keys of %s: %v", m.Users[i], err)
		}
		c.keys[m.Users[i]] = text
	}
	if c.speaker, err = channel.Open(files[0]); err != nil {
		return err
	}
	go func() {
		defer c.speaker.Close()
		c.serve()
	}()
	return nil
}

// readAll reads a file and closes it.
func readAll(fd, limit int) ([]byte, error) {
	defer unix.Close(fd)
	text := make([]byte, 0, 4096)
	for {
		if len(text) == cap(text) {
			text = append(text, 0)[:len(text)]
		}
		n, err := unix.Read(fd, text[len(text):cap(text)])
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, err
		case n <= 0:
			return text, nil
		default:
			if text = text[:len(text)+n]; len(text) > limit {
				return nil, fmt.Errorf("more than %d bytes", limit)
			}
		}
	}
}

// conn is a connection of a client, as its speaker describes it.
type conn struct {
	*server
	id      uint32
	remote  netip.Addr
	speaker *channel.Conn
	keys    map[string][]byte // files of authorized keys by user

	// sessionID is the first hash that the host key signed. No other can be used for a login.
	sessionID         []byte
	queries, failures int
	granted           bool
	// user is the last one that the client named.
	user string
}

func (c *conn) serve() {
	defer func() {
		if !c.granted && c.user != "" {
			c.log.print("%s: no login as %s", c.remote, quote(c.user))
		}
	}()
	for {
		m, _, err := c.speaker.Receive(nil)
		if err != nil {
			return
		}
		answer, err := c.answer(m)
		if err != nil {
			return
		}
		if err := c.speaker.Send(answer); err != nil {
			return
		}
	}
}

// answer returns the answer to a message of the speaker. An error ends the connection: the message
// is one that a speaker never sends.
func (c *conn) answer(m message.Message) (message.Message, error) {
	switch m := m.(type) {
	case *message.Sign:
		return c.sign(m.Hash)
	case *message.Query:
		if c.queries++; c.queries > maxQueries || c.granted {
			return nil, message.ErrInvalid
		}
		_, _, err := c.authorize(m.User, m.Algorithm, m.Key)
		return &message.Verdict{OK: err == nil}, nil
	case *message.Verify:
		if c.granted || c.failures > c.tries {
			return nil, message.ErrInvalid
		}
		access, err := c.verify(m)
		if err != nil {
			c.failures++
			c.log.print("%s: %s: %s", c.remote, quote(m.User), quote(err.Error()))
			return &message.Verdict{}, nil
		}
		return &message.Verdict{OK: true, Terminal: access.Terminal}, nil
	}
	return nil, message.ErrInvalid
}

func (c *conn) sign(hash []byte) (message.Message, error) {
	// Exchange hashes are those of SHA-2. Nothing else that a key might sign is as short.
	if len(hash) != 32 && len(hash) != 48 && len(hash) != 64 {
		return nil, message.ErrInvalid
	}
	signature, err := c.host.Sign(nil, hash)
	if err != nil {
		return nil, err
	}
	if c.sessionID == nil {
		c.sessionID = bytes.Clone(hash)
	}
	return &message.Signed{Signature: signature.Blob}, nil
}

func (c *conn) authorize(user, algorithm string, key []byte) (authority.Request, *authority.Access, error) {
	c.user = user
	r := authority.Request{User: user, Algorithm: algorithm, Key: key, Remote: c.remote, Now: time.Now()}
	file, found := c.keys[user]
	if !found {
		return r, nil, authority.ErrDenied
	}
	r.Keys = file
	access, err := authority.Authorize(r, c.trusted)
	return r, access, err
}

// verify tells the monitor of the login before the speaker: it never trusts the speaker.
func (c *conn) verify(m *message.Verify) (*authority.Access, error) {
	r, access, err := c.authorize(m.User, m.Algorithm, m.Key)
	if err != nil {
		return nil, err
	}
	s := authority.Signature{SessionID: c.sessionID, Format: m.Format, Blob: m.Signature, Rest: m.Rest}
	if err := access.Verify(r, s); err != nil {
		return nil, err
	}
	c.granted = true
	return access, c.monitor.Send(&message.Grant{
		ID: c.id, User: m.User, Key: access.Key, Command: access.Command, Terminal: access.Terminal,
		Forward: access.Forward, Destinations: access.Destinations,
	})
}

// logger prints at most some lines a minute: clients decide how many there are.
type logger struct {
	events chan string
}

const maxLinesPerMinute = 30

func newLogger() *logger {
	l := &logger{events: make(chan string, 16)}
	go func() {
		var lines int
		var minute time.Time
		for text := range l.events {
			if now := time.Now(); now.Sub(minute) > time.Minute {
				minute, lines = now, 0
			}
			if lines++; lines <= maxLinesPerMinute {
				fmt.Fprintf(os.Stderr, "sshd: %s\n", text)
			}
		}
	}()
	return l
}

func (l *logger) print(format string, args ...any) {
	select {
	case l.events <- fmt.Sprintf(format, args...):
	default:
	}
}

// quote makes a client's text fit for a log.
func quote(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
}
