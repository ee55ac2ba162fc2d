// Package authority decides whether a user may log in with a key, and verifies signatures. It does
// no I/O.
package authority

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// Request asks to log in as a user with a key or certificate.
type Request struct {
	User string
	// Algorithm is the signature algorithm that the client selected.
	Algorithm string
	// Key is the encoded key or certificate.
	Key    []byte
	Remote netip.Addr
	Now    time.Time
	// Keys is the user's file of authorized keys.
	Keys []byte
}

// Access is what a key permits.
type Access struct {
	// Key is the type and fingerprint of the key.
	Key          string
	Command      string
	Terminal     bool
	Forward      bool
	Destinations []string

	key    ssh.PublicKey
	verify bool
}

// algorithms are the signature algorithms, without those of certificates, and the types of their
// keys.
var algorithms = map[string]string{
	ssh.KeyAlgoED25519:    ssh.KeyAlgoED25519,
	ssh.KeyAlgoSKED25519:  ssh.KeyAlgoSKED25519,
	ssh.KeyAlgoSKECDSA256: ssh.KeyAlgoSKECDSA256,
	ssh.KeyAlgoECDSA256:   ssh.KeyAlgoECDSA256,
	ssh.KeyAlgoECDSA384:   ssh.KeyAlgoECDSA384,
	ssh.KeyAlgoECDSA521:   ssh.KeyAlgoECDSA521,
	ssh.KeyAlgoRSASHA256:  ssh.KeyAlgoRSA,
	ssh.KeyAlgoRSASHA512:  ssh.KeyAlgoRSA,
}

// Algorithms returns the signature algorithms in the order in which the server names them.
func Algorithms() []string {
	var names []string
	for name := range algorithms {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// ErrDenied means that the user may not log in with the key.
var ErrDenied = errors.New("not authorized")

// Authorities parses public keys of certificate authorities, one a line.
func Authorities(lines []string) ([]ssh.PublicKey, error) {
	var keys []ssh.PublicKey
	for _, line := range lines {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// Authorize returns what the key permits, or an error that wraps ErrDenied. The client has not
// proved yet that it has the key. A key is parsed only if it equals an authorized one, and a
// certificate only if there are authorities.
func Authorize(r Request, trusted []ssh.PublicKey) (*Access, error) {
	entries := parseKeys(r.Keys)
	for _, e := range entries {
		if !e.authority && bytes.Equal(e.key.Marshal(), r.Key) {
			if algorithms[r.Algorithm] != e.key.Type() {
				return nil, fmt.Errorf("%w: algorithm %q", ErrDenied, r.Algorithm)
			}
			return e.access(r, e.key)
		}
	}
	isAuthority := func(e entry) bool { return e.authority }
	if len(trusted) == 0 && !slices.ContainsFunc(entries, isAuthority) {
		return nil, ErrDenied
	}
	parsed, err := ssh.ParsePublicKey(r.Key)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrDenied, err)
	}
	cert, ok := parsed.(*ssh.Certificate)
	if !ok {
		return nil, ErrDenied
	}
	base, found := strings.CutSuffix(r.Algorithm, "-cert-v01@openssh.com")
	if strings.HasPrefix(base, "sk-") {
		base += "@openssh.com"
	}
	if !found || algorithms[base] != cert.Key.Type() {
		return nil, fmt.Errorf("%w: algorithm %q", ErrDenied, r.Algorithm)
	}
	signer := cert.SignatureKey.Marshal()
	for _, e := range entries {
		if e.authority && bytes.Equal(e.key.Marshal(), signer) {
			principals := e.principals
			if principals == nil {
				principals = []string{r.User}
			}
			return certified(r, cert, e, principals)
		}
	}
	for _, key := range trusted {
		if bytes.Equal(key.Marshal(), signer) {
			return certified(r, cert, entry{}, []string{r.User})
		}
	}
	return nil, fmt.Errorf("%w: certificate of another authority", ErrDenied)
}

// entry is a line of authorized_keys.
type entry struct {
	key ssh.PublicKey
	restrictions
}

// maxEntries is the maximum number of lines that count.
const maxEntries = 1024

// parseKeys returns the valid lines of a file of authorized keys.
func parseKeys(text []byte) []entry {
	var entries []entry
	for line := range bytes.Lines(text) {
		if len(entries) == maxEntries {
			break
		}
		key, _, options, _, err := ssh.ParseAuthorizedKey(line)
		if err != nil || len(key.Marshal()) == 0 {
			continue
		}
		if _, isCertificate := key.(*ssh.Certificate); isCertificate {
			continue
		}
		r, err := parseOptions(options)
		if err != nil {
			continue
		}
		entries = append(entries, entry{key, r})
	}
	return entries
}

// access applies the restrictions of a line.
func (e entry) access(r Request, key ssh.PublicKey) (*Access, error) {
	if e.from != nil && !matchesAddress(e.from, r.Remote) {
		return nil, fmt.Errorf("%w: from another address", ErrDenied)
	}
	if !e.until.IsZero() && !r.Now.Before(e.until) {
		return nil, fmt.Errorf("%w: the key has expired", ErrDenied)
	}
	if err := checkStrength(key); err != nil {
		return nil, err
	}
	return &Access{
		Key: key.Type() + " " + ssh.FingerprintSHA256(key), Command: e.command, Terminal: !e.noTerminal,
		Forward: !e.noForwarding, Destinations: e.destinations, key: key, verify: e.verify,
	}, nil
}

// certified applies the restrictions of a certificate and of the line that names its authority.
func certified(r Request, cert *ssh.Certificate, e entry, principals []string) (*Access, error) {
	if cert.CertType != ssh.UserCert {
		return nil, fmt.Errorf("%w: not a user's certificate", ErrDenied)
	}
	i := slices.IndexFunc(principals, func(name string) bool { return slices.Contains(cert.ValidPrincipals, name) })
	if i < 0 {
		return nil, fmt.Errorf("%w: the certificate is for other users", ErrDenied)
	}
	// As in OpenSSH, an authority must not sign with SHA-1, for which others find collisions.
	if algorithms[cert.Signature.Format] != cert.SignatureKey.Type() {
		return nil, fmt.Errorf("%w: the certificate is signed with %q", ErrDenied, cert.Signature.Format)
	}
	checker := ssh.CertChecker{
		SupportedCriticalOptions: []string{"force-command", "source-address", "verify-required"},
		Clock:                    func() time.Time { return r.Now },
	}
	if err := checker.CheckCert(principals[i], cert); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrDenied, err)
	}
	if source, ok := cert.CriticalOptions["source-address"]; ok && !matchesNetworks(source, r.Remote) {
		return nil, fmt.Errorf("%w: from another address", ErrDenied)
	}
	access, err := e.access(r, cert.Key)
	if err != nil {
		return nil, err
	}
	if err := checkStrength(cert.SignatureKey); err != nil {
		return nil, err
	}
	if command, ok := cert.CriticalOptions["force-command"]; ok {
		if command == "" {
			return nil, fmt.Errorf("%w: %v", ErrDenied, errNoCommand)
		}
		if access.Command != "" && access.Command != command {
			return nil, fmt.Errorf("%w: two commands", ErrDenied)
		}
		access.Command = command
	}
	_, verify := cert.CriticalOptions["verify-required"]
	_, terminal := cert.Extensions["permit-pty"]
	_, forward := cert.Extensions["permit-port-forwarding"]
	access.verify = access.verify || verify
	access.Terminal = access.Terminal && terminal
	access.Forward = access.Forward && forward
	access.Key = fmt.Sprintf("%s of certificate %q, serial %d", access.Key, cert.KeyId, cert.Serial)
	if len(access.Key) > 256 {
		access.Key = access.Key[:256]
	}
	access.key = cert.Key
	return access, nil
}

func matchesNetworks(list string, addr netip.Addr) bool {
	addr = addr.WithZone("")
	return slices.ContainsFunc(strings.Split(list, ","), func(item string) bool {
		if network, err := netip.ParsePrefix(item); err == nil {
			return network.Contains(addr)
		}
		one, err := netip.ParseAddr(item)
		return err == nil && one == addr
	})
}

const minRSABits = 2048

func checkStrength(key ssh.PublicKey) error {
	if key.Type() != ssh.KeyAlgoRSA {
		return nil
	}
	public, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return ErrDenied
	}
	if sized, ok := public.CryptoPublicKey().(interface{ Size() int }); !ok || sized.Size()*8 < minRSABits {
		return fmt.Errorf("%w: an RSA key of less than %d bits", ErrDenied, minRSABits)
	}
	return nil
}

// Signature is what the client signed with its key (RFC 4252 section 7).
type Signature struct {
	SessionID []byte
	Format    string
	Blob      []byte
	// Rest are the flags and the counter of a security key.
	Rest []byte
}

// userVerified is the flag of a security key that verified its user, by a PIN for example.
const userVerified = 1 << 2

// Verify verifies that the client signed the request.
func (a *Access) Verify(r Request, s Signature) error {
	base := strings.TrimSuffix(r.Algorithm, "-cert-v01@openssh.com")
	if base != r.Algorithm && strings.HasPrefix(base, "sk-") {
		base += "@openssh.com"
	}
	if s.Format != base || len(s.SessionID) == 0 {
		return fmt.Errorf("%w: signature %q", ErrDenied, s.Format)
	}
	if a.verify && strings.HasPrefix(base, "sk-") && (len(s.Rest) == 0 || s.Rest[0]&userVerified == 0) {
		return fmt.Errorf("%w: the security key did not verify its user", ErrDenied)
	}
	signed := ssh.Marshal(struct {
		SessionID             []byte
		Message               byte
		User, Service, Method string
		Signed                bool
		Algorithm             string
		Key                   []byte
	}{s.SessionID, 50, r.User, "ssh-connection", "publickey", true, r.Algorithm, r.Key})
	if err := a.key.Verify(signed, &ssh.Signature{Format: s.Format, Blob: s.Blob, Rest: s.Rest}); err != nil {
		return fmt.Errorf("%w: %v", ErrDenied, err)
	}
	return nil
}
