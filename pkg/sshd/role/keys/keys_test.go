package keys

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"net/netip"
	"testing"

	"golang.org/x/crypto/ssh"

	"lkt/sshd/channel"
	"lkt/sshd/message"
)

func newSigner(t testing.TB) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// newConn returns a connection where client may log in as root, and the monitor's end.
func newConn(t testing.TB, client ssh.Signer) (*conn, *channel.Conn) {
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
	k := &server{monitor: ours, host: newSigner(t), tries: 2, log: newLogger()}
	return &conn{
		server: k, id: 7, remote: netip.MustParseAddr("192.0.2.1"),
		keys: map[string][]byte{"root": ssh.MarshalAuthorizedKey(client.PublicKey())},
	}, theirs
}

func proof(t testing.TB, client ssh.Signer, user string, sessionID []byte) *message.Verify {
	t.Helper()
	key := client.PublicKey()
	s, err := client.Sign(rand.Reader, ssh.Marshal(struct {
		SessionID             []byte
		Message               byte
		User, Service, Method string
		Signed                bool
		Algorithm             string
		Key                   []byte
	}{sessionID, 50, user, "ssh-connection", "publickey", true, key.Type(), key.Marshal()}))
	if err != nil {
		t.Fatal(err)
	}
	return &message.Verify{User: user, Algorithm: key.Type(), Key: key.Marshal(), Format: s.Format, Signature: s.Blob}
}

var (
	hash    = bytes.Repeat([]byte{1}, 32)
	another = bytes.Repeat([]byte{2}, 32)
)

func isOK(t testing.TB, c *conn, m message.Message) bool {
	t.Helper()
	answer, err := c.answer(m)
	if err != nil {
		return false
	}
	verdict, ok := answer.(*message.Verdict)
	return ok && verdict.OK
}

func TestLoginNeedsASignatureOfTheFirstHash(t *testing.T) {
	client := newSigner(t)
	c, monitor := newConn(t, client)
	if isOK(t, c, proof(t, client, "root", nil)) {
		t.Error("without a session")
	}
	for _, h := range [][]byte{hash, another} {
		answer, err := c.answer(&message.Sign{Hash: h})
		if err != nil {
			t.Fatal(err)
		}
		signature := &ssh.Signature{Format: ssh.KeyAlgoED25519, Blob: answer.(*message.Signed).Signature}
		if err := c.host.PublicKey().Verify(h, signature); err != nil {
			t.Error(err)
		}
	}
	// The second hash is that of a later key exchange, or one that a hostile speaker made up.
	if isOK(t, c, proof(t, client, "root", another)) {
		t.Error("of another hash")
	}
	if !isOK(t, c, proof(t, client, "root", hash)) {
		t.Fatal("not of the first hash")
	}
	m, _, err := monitor.Receive(nil)
	if grant, ok := m.(*message.Grant); err != nil || !ok || grant.ID != 7 || grant.User != "root" {
		t.Errorf("%+v, %v", m, err)
	}
	if isOK(t, c, proof(t, client, "root", hash)) {
		t.Error("a second login")
	}
}

func TestQueryGrantsNothing(t *testing.T) {
	client, stranger := newSigner(t), newSigner(t)
	c, _ := newConn(t, client)
	query := func(user string, s ssh.Signer) bool {
		return isOK(t, c, &message.Query{User: user, Algorithm: s.PublicKey().Type(), Key: s.PublicKey().Marshal()})
	}
	if !query("root", client) || query("root", stranger) || query("ann", client) {
		t.Error("wrong verdict")
	}
	// CVE-2024-45337: after a query for one key, a proof of another.
	if _, err := c.answer(&message.Sign{Hash: hash}); err != nil {
		t.Fatal(err)
	}
	forged := proof(t, stranger, "root", hash)
	forged.Key = client.PublicKey().Marshal()
	if isOK(t, c, forged) || isOK(t, c, proof(t, stranger, "root", hash)) || c.granted {
		t.Error("login without the key")
	}
}

func TestTriesAreBounded(t *testing.T) {
	client, stranger := newSigner(t), newSigner(t)
	c, _ := newConn(t, client)
	if _, err := c.answer(&message.Sign{Hash: hash}); err != nil {
		t.Fatal(err)
	}
	for range c.tries + 1 {
		isOK(t, c, proof(t, stranger, "root", hash))
	}
	if isOK(t, c, proof(t, client, "root", hash)) {
		t.Error("login after too many tries")
	}
	queries := 0
	for isQueryAnswered(c, stranger) {
		if queries++; queries > 1000 {
			t.Fatal("any number of queries")
		}
	}
}

func isQueryAnswered(c *conn, s ssh.Signer) bool {
	_, err := c.answer(&message.Query{User: "root", Algorithm: s.PublicKey().Type(), Key: s.PublicKey().Marshal()})
	return err == nil
}

func TestSignsNothingButHashes(t *testing.T) {
	c, _ := newConn(t, newSigner(t))
	for _, size := range []int{0, 31, 33, 63} {
		if _, err := c.answer(&message.Sign{Hash: make([]byte, size)}); err == nil {
			t.Errorf("%d bytes", size)
		}
	}
}

func TestRejectsMessagesOfOthers(t *testing.T) {
	c, _ := newConn(t, newSigner(t))
	for _, m := range []message.Message{&message.Grant{ID: 7, User: "root"}, &message.Verdict{OK: true}, &message.Start{}} {
		if _, err := c.answer(m); err == nil {
			t.Errorf("%T", m)
		}
	}
}

func TestQuoteLeavesOneLine(t *testing.T) {
	if got := quote("a\nsshd: root logs in\x1b[2J"); got != "a?sshd: root logs in?[2J" {
		t.Error(got)
	}
}

// Whatever a hostile speaker sends, there is no login without the key.
func FuzzSpeaker(f *testing.F) {
	client, stranger := newSigner(f), newSigner(f)
	for _, m := range []message.Message{&message.Sign{Hash: hash}, proof(f, stranger, "root", hash), &message.Query{User: "root"}} {
		b, err := message.Encode(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, b)
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		c, _ := newConn(t, client)
		for _, b := range [][]byte{first, second} {
			if m, err := message.Decode(b); err == nil {
				_, _ = c.answer(m)
			}
		}
		if c.granted {
			t.Error("login")
		}
	})
}
