package authority

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

var (
	now     = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	remote  = netip.MustParseAddr("192.0.2.7")
	session = []byte("session id of thirty-two bytes..")
)

func newSigner(t testing.TB, key any) ssh.Signer {
	t.Helper()
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func newKey(t testing.TB) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return newSigner(t, key)
}

func line(key ssh.PublicKey) string { return string(ssh.MarshalAuthorizedKey(key)) }

func request(key ssh.PublicKey, keys string) Request {
	return Request{User: "root", Algorithm: key.Type(), Key: key.Marshal(), Remote: remote, Now: now, Keys: []byte(keys)}
}

// sign signs as a client does.
func sign(t testing.TB, r Request, signer ssh.Signer, sessionID []byte) Signature {
	t.Helper()
	data := ssh.Marshal(struct {
		SessionID             []byte
		Message               byte
		User, Service, Method string
		Signed                bool
		Algorithm             string
		Key                   []byte
	}{sessionID, 50, r.User, "ssh-connection", "publickey", true, r.Algorithm, r.Key})
	algorithm := strings.TrimSuffix(r.Algorithm, "-cert-v01@openssh.com")
	s, err := signer.(ssh.AlgorithmSigner).SignWithAlgorithm(rand.Reader, data, algorithm)
	if err != nil {
		t.Fatal(err)
	}
	return Signature{SessionID: session, Format: s.Format, Blob: s.Blob, Rest: s.Rest}
}

func TestAuthorizeAcceptsOnlyListedKeys(t *testing.T) {
	mine, other := newKey(t), newKey(t)
	keys := "# comment\nnonsense\n" + line(mine.PublicKey())
	if access, err := Authorize(request(mine.PublicKey(), keys), nil); err != nil || !access.Terminal || !access.Forward {
		t.Errorf("%+v, %v", access, err)
	}
	for _, r := range []Request{request(other.PublicKey(), keys), request(mine.PublicKey(), ""), {User: "root", Keys: []byte(keys)}} {
		if _, err := Authorize(r, nil); !errors.Is(err, ErrDenied) {
			t.Errorf("%v", err)
		}
	}
}

func TestVerifyAcceptsEachKindOfKey(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecdsaKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for algorithm, signer := range map[string]ssh.Signer{
		ssh.KeyAlgoED25519:   newKey(t),
		ssh.KeyAlgoECDSA256:  newSigner(t, ecdsaKey),
		ssh.KeyAlgoRSASHA256: newSigner(t, rsaKey),
		ssh.KeyAlgoRSASHA512: newSigner(t, rsaKey),
		ssh.KeyAlgoSKED25519: newSecurityKey(t, touched),
	} {
		r := request(signer.PublicKey(), line(signer.PublicKey()))
		r.Algorithm = algorithm
		access, err := Authorize(r, nil)
		if err != nil {
			t.Errorf("%s: %v", algorithm, err)
			continue
		}
		if err := access.Verify(r, sign(t, r, signer, session)); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
}

func TestAuthorizeRejectsWeakAlgorithms(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	large, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key       *rsa.PrivateKey
		algorithm string
	}{{small, ssh.KeyAlgoRSASHA256}, {large, ssh.KeyAlgoRSA}, {large, ssh.KeyAlgoED25519}} {
		key := newSigner(t, c.key).PublicKey()
		r := request(key, line(key))
		r.Algorithm = c.algorithm
		if _, err := Authorize(r, nil); !errors.Is(err, ErrDenied) {
			t.Errorf("%d bits, %s: %v", c.key.N.BitLen(), c.algorithm, err)
		}
	}
}

// The signature must be of this session, user and key: the misuse of CVE-2024-45337 took the last
// key that was asked about.
func TestVerifyRejectsSignaturesOfOtherRequests(t *testing.T) {
	mine, other := newKey(t), newKey(t)
	keys := line(mine.PublicKey()) + line(other.PublicKey())
	r := request(mine.PublicKey(), keys)
	access, err := Authorize(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	asOther := r
	asOther.User = "ann"
	ofOther := r
	ofOther.Key = other.PublicKey().Marshal()
	truncated := sign(t, r, mine, session)
	truncated.Blob = truncated.Blob[:len(truncated.Blob)-1]
	wrongFormat := sign(t, r, mine, session)
	wrongFormat.Format = ssh.KeyAlgoRSASHA256
	without := sign(t, r, mine, nil)
	without.SessionID = nil
	for name, s := range map[string]Signature{
		"another session": sign(t, r, mine, []byte("other")), "another user": sign(t, asOther, mine, session),
		"another key": sign(t, r, other, session), "a request for another key": sign(t, ofOther, other, session),
		"truncated": truncated, "another format": wrongFormat, "no session": without, "nothing": {},
	} {
		if err := access.Verify(r, s); !errors.Is(err, ErrDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAuthorizeAppliesOptions(t *testing.T) {
	key := newKey(t).PublicKey()
	for options, want := range map[string]*Access{
		`command="echo \"a b\"",no-pty`:                    {Command: `echo "a b"`, Forward: true},
		`restrict`:                                         {},
		`restrict,pty`:                                     {Terminal: true},
		`no-port-forwarding,no-X11-forwarding`:             {Terminal: true},
		`from="192.0.2.0/24"`:                              {Terminal: true, Forward: true},
		`from="!192.0.2.8,192.0.*"`:                        {Terminal: true, Forward: true},
		`expiry-time="20260103"`:                           {Terminal: true, Forward: true},
		`permitopen="db:5432"`:                             {Terminal: true, Forward: true, Destinations: []string{"db:5432"}},
		`from="198.51.100.0/24"`:                           nil,
		`from="!192.0.2.7,192.0.2.*"`:                      nil,
		`from="host.example"`:                              nil,
		`expiry-time="20260101"`:                           nil,
		`expiry-time="tomorrow"`:                           nil,
		`expiry-time="202601020304Z"`:                      nil,
		`permitlisten="80"`:                                nil, // unknown: fails closed
		`tunnel="1"`:                                       nil,
		`command=id`:                                       nil,
		`command=""`:                                       nil, // the empty command, not any
		`command="a",command="b"`:                          nil,
		`from="10.0.0.1",from="192.0.2.7"`:                 nil,
		`expiry-time="20260101",expiry-time="20270101"`:    nil,
		`no-pty="yes"`:                                     nil,
		`from`:                                             nil,
		`environment="PATH=/tmp"`:                          nil,
		`cert-authority`:                                   nil,
		`agent-forwarding,user-rc,X11-forwarding,restrict`: {},
	} {
		access, err := Authorize(request(key, options+" "+line(key)), nil)
		if want == nil {
			if !errors.Is(err, ErrDenied) {
				t.Errorf("%s: %+v", options, access)
			}
			continue
		}
		if err != nil || access.Command != want.Command || access.Terminal != want.Terminal || access.Forward != want.Forward ||
			strings.Join(access.Destinations, " ") != strings.Join(want.Destinations, " ") {
			t.Errorf("%s: %+v, %v", options, access, err)
		}
	}
}

// A key on several lines has the restrictions of the first.
func TestAuthorizeUsesTheFirstLineOfAKey(t *testing.T) {
	key := newKey(t).PublicKey()
	access, err := Authorize(request(key, "restrict "+line(key)+line(key)), nil)
	if err != nil || access.Terminal {
		t.Errorf("%+v, %v", access, err)
	}
}

func certificate(t testing.TB, ca, key ssh.Signer, change func(*ssh.Certificate)) ssh.Signer {
	t.Helper()
	cert := &ssh.Certificate{
		Key: key.PublicKey(), CertType: ssh.UserCert, KeyId: "test", Serial: 9, ValidPrincipals: []string{"root", "ops"},
		ValidAfter: uint64(now.Add(-time.Hour).Unix()), ValidBefore: uint64(now.Add(time.Hour).Unix()),
		Permissions: ssh.Permissions{Extensions: map[string]string{"permit-pty": "", "permit-port-forwarding": ""}},
	}
	if change != nil {
		change(cert)
	}
	if err := cert.SignCert(rand.Reader, ca); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewCertSigner(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func TestAuthorizeAcceptsCertificatesOfAuthorities(t *testing.T) {
	ca, key := newKey(t), newKey(t)
	for name, c := range map[string]struct {
		trusted []ssh.PublicKey
		keys    string
		change  func(*ssh.Certificate)
		want    *Access
	}{
		"of a trusted authority": {trusted: []ssh.PublicKey{ca.PublicKey()}, want: &Access{Terminal: true, Forward: true}},
		"of a line":              {keys: "cert-authority " + line(ca.PublicKey()), want: &Access{Terminal: true, Forward: true}},
		"of a line with principals": {
			keys: `cert-authority,principals="ops",no-pty ` + line(ca.PublicKey()), want: &Access{Forward: true},
		},
		"without extensions": {
			trusted: []ssh.PublicKey{ca.PublicKey()}, change: func(c *ssh.Certificate) { c.Extensions = nil }, want: &Access{},
		},
		"with a command": {
			trusted: []ssh.PublicKey{ca.PublicKey()}, want: &Access{Command: "date", Terminal: true, Forward: true},
			change: func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"force-command": "date"} },
		},
		"from its address": {
			trusted: []ssh.PublicKey{ca.PublicKey()}, want: &Access{Terminal: true, Forward: true},
			change: func(c *ssh.Certificate) {
				c.CriticalOptions = map[string]string{"source-address": "10.0.0.0/8,192.0.2.7"}
			},
		},
		"without authority":             {},
		"of a line for other users":     {keys: `cert-authority,principals="web" ` + line(ca.PublicKey())},
		"of a key that is no authority": {keys: line(ca.PublicKey())},
		"for other users": {
			trusted: []ssh.PublicKey{ca.PublicKey()}, change: func(c *ssh.Certificate) { c.ValidPrincipals = []string{"ops"} },
		},
		"for all users": {trusted: []ssh.PublicKey{ca.PublicKey()}, change: func(c *ssh.Certificate) { c.ValidPrincipals = nil }},
		"of a host":     {trusted: []ssh.PublicKey{ca.PublicKey()}, change: func(c *ssh.Certificate) { c.CertType = ssh.HostCert }},
		"expired": {
			trusted: []ssh.PublicKey{ca.PublicKey()}, change: func(c *ssh.Certificate) { c.ValidBefore = uint64(now.Unix()) },
		},
		"of tomorrow": {
			trusted: []ssh.PublicKey{ca.PublicKey()}, change: func(c *ssh.Certificate) { c.ValidAfter = uint64(now.Unix() + 1) },
		},
		"from another address": {
			trusted: []ssh.PublicKey{ca.PublicKey()},
			change:  func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"source-address": "10.0.0.0/8"} },
		},
		"with an unknown option": {
			trusted: []ssh.PublicKey{ca.PublicKey()},
			change:  func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"unknown": ""} },
		},
		"with the empty command": {
			trusted: []ssh.PublicKey{ca.PublicKey()},
			change:  func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"force-command": ""} },
		},
		"with two commands": {
			keys:   `cert-authority,command="id" ` + line(ca.PublicKey()),
			change: func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"force-command": "date"} },
		},
	} {
		signer := certificate(t, ca, key, c.change)
		r := request(signer.PublicKey(), c.keys)
		access, err := Authorize(r, c.trusted)
		if c.want == nil {
			if !errors.Is(err, ErrDenied) {
				t.Errorf("%s: %+v, %v", name, access, err)
			}
			continue
		}
		if err != nil || access.Command != c.want.Command || access.Terminal != c.want.Terminal || access.Forward != c.want.Forward {
			t.Errorf("%s: %+v, %v", name, access, err)
			continue
		}
		if err := access.Verify(r, sign(t, r, signer, session)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.Contains(access.Key, `"test", serial 9`) {
			t.Errorf("%s: %s", name, access.Key)
		}
	}
}

// A link-local address has the interface as its zone.
func TestAddressesMatchWithoutZone(t *testing.T) {
	addr := netip.MustParseAddr("fe80::1%eth0")
	for list, want := range map[string]bool{"fe80::/10": true, "fe80::1": true, "!fe80::/10,*": false, "!fe80::1,*": false, "fe80::2": false} {
		if got := matchesAddress(strings.Split(list, ","), addr); got != want {
			t.Errorf("%s: %v", list, got)
		}
	}
	if !matchesNetworks("fe80::/64", addr) || !matchesNetworks("fe80::1", addr) || matchesNetworks("fe80::2", addr) {
		t.Error("networks of a certificate")
	}
}

// sha1Authority signs certificates with an RSA key and SHA-1, as before OpenSSH 8.2.
type sha1Authority struct{ ssh.AlgorithmSigner }

func (s sha1Authority) Sign(r io.Reader, data []byte) (*ssh.Signature, error) {
	return s.SignWithAlgorithm(r, data, ssh.KeyAlgoRSA)
}

func (s sha1Authority) SignWithAlgorithm(r io.Reader, data []byte, _ string) (*ssh.Signature, error) {
	return s.AlgorithmSigner.SignWithAlgorithm(r, data, ssh.KeyAlgoRSA)
}

func TestAuthorizeRejectsCertificatesWithSHA1(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	strong := newSigner(t, private)
	for name, ca := range map[string]ssh.Signer{"SHA-2": strong, "SHA-1": sha1Authority{strong.(ssh.AlgorithmSigner)}} {
		signer := certificate(t, ca, newKey(t), nil)
		_, err := Authorize(request(signer.PublicKey(), ""), []ssh.PublicKey{strong.PublicKey()})
		if (err == nil) != (name == "SHA-2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAuthorizeRejectsAForgedCertificate(t *testing.T) {
	ca, key := newKey(t), newKey(t)
	signer := certificate(t, ca, key, nil)
	cert := signer.PublicKey().(*ssh.Certificate)
	cert.ValidPrincipals = append(cert.ValidPrincipals, "ann")
	r := request(cert, "")
	r.User = "ann"
	if _, err := Authorize(r, []ssh.PublicKey{ca.PublicKey()}); !errors.Is(err, ErrDenied) {
		t.Error(err)
	}
}

const (
	touched  = 1
	verified = 1 | userVerified
)

// securityKey signs as a FIDO key does (PROTOCOL.u2f of OpenSSH).
type securityKey struct {
	key   ed25519.PrivateKey
	flags byte
	wire  ssh.PublicKey
}

func newSecurityKey(t testing.TB, flags byte) *securityKey {
	t.Helper()
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
	return &securityKey{private, flags, wire}
}

func (k *securityKey) PublicKey() ssh.PublicKey { return k.wire }

func (k *securityKey) Sign(r io.Reader, data []byte) (*ssh.Signature, error) {
	return k.SignWithAlgorithm(r, data, "")
}

func (k *securityKey) SignWithAlgorithm(_ io.Reader, data []byte, _ string) (*ssh.Signature, error) {
	application, message := sha256.Sum256([]byte("ssh:")), sha256.Sum256(data)
	rest := binary.BigEndian.AppendUint32([]byte{k.flags}, 1)
	signed := append(append(application[:], rest...), message[:]...)
	return &ssh.Signature{Format: ssh.KeyAlgoSKED25519, Blob: ed25519.Sign(k.key, signed), Rest: rest}, nil
}

func TestVerifyRequiresTouchAndVerification(t *testing.T) {
	for _, c := range []struct {
		options string
		flags   byte
		want    bool
	}{
		{"", touched, true}, {"", 0, false}, {"no-touch-required ", 0, false},
		{"verify-required ", touched, false}, {"verify-required ", verified, true},
	} {
		key := newSecurityKey(t, c.flags)
		r := request(key.PublicKey(), c.options+line(key.PublicKey()))
		access, err := Authorize(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := access.Verify(r, sign(t, r, key, session)); (err == nil) != c.want {
			t.Errorf("%q %d: %v", c.options, c.flags, err)
		}
	}
}

// No file of authorized keys and no key may end the process, and only a listed key gets access.
func FuzzAuthorize(f *testing.F) {
	ca, key := newKey(f), newKey(f)
	cert := certificate(f, ca, key, nil)
	f.Add("root", key.PublicKey().Type(), key.PublicKey().Marshal(), `from="192.0.2.*",command="a" `+line(key.PublicKey()))
	f.Add("root", cert.PublicKey().Type(), cert.PublicKey().Marshal(), "cert-authority "+line(ca.PublicKey()))
	f.Add("root", cert.PublicKey().Type(), cert.PublicKey().Marshal(), "")
	f.Fuzz(func(t *testing.T, user, algorithm string, blob []byte, keys string) {
		r := Request{User: user, Algorithm: algorithm, Key: blob, Remote: remote, Now: now, Keys: []byte(keys)}
		access, err := Authorize(r, []ssh.PublicKey{ca.PublicKey()})
		if err != nil {
			return
		}
		if err := access.Verify(r, Signature{SessionID: session, Format: algorithm, Blob: make([]byte, 64)}); err == nil {
			t.Errorf("%x verifies", blob)
		}
	})
}
