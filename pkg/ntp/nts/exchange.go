// Package nts is the client of Network Time Security (RFC 8915): a key exchange over TLS, and
// requests and answers of NTP that are authenticated by its keys.
package nts

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// Port is the port of the key exchange. Another one is not possible: Landlock allows only this one.
const Port = "4460"

const (
	timePort = 123
	alpn     = "ntske/1"
	label    = "EXPORTER-network-time-security"
)

// Client exchanges keys with servers.
type Client struct {
	// Roots are the authorities whose certificates are accepted.
	Roots *x509.CertPool
	// IsTimeKnown reports whether the clock has been set. Before that, a certificate may begin
	// later than the clock says.
	IsTimeKnown func() bool
}

// Agreement is the result of a key exchange.
type Agreement struct {
	Session *Session
	// Server is the host name or address of the time server.
	Server string
	Port   uint16
	// NotBefore and NotAfter bound the time that the server can claim: those of its certificate.
	NotBefore, NotAfter time.Time
}

// Exchange exchanges keys with a server.
func (c *Client) Exchange(ctx context.Context, host string) (Agreement, error) {
	config := &tls.Config{
		ServerName: host, MinVersion: tls.VersionTLS13, NextProtos: []string{alpn},
		// verify does what crypto/tls would do, with another time.
		InsecureSkipVerify: true,
		VerifyConnection:   func(state tls.ConnectionState) error { return c.verify(host, state) },
	}
	dialer := tls.Dialer{Config: config}
	dialed, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, Port))
	if err != nil {
		return Agreement{}, err
	}
	defer dialed.Close()
	connection := dialed.(*tls.Conn)
	if deadline, isLimited := ctx.Deadline(); isLimited {
		if err := connection.SetDeadline(deadline); err != nil {
			return Agreement{}, err
		}
	}
	if _, err := connection.Write(request()); err != nil {
		return Agreement{}, err
	}
	return agree(connection)
}

// agree reads the server's records, and derives the keys.
func agree(connection *tls.Conn) (Agreement, error) {
	records, err := readAnswer(connection)
	if err != nil {
		return Agreement{}, err
	}
	state := connection.ConnectionState()
	var keys [2][]byte
	for direction := range keys {
		context := []byte{0, protocolNTP, 0, aeadSIV, byte(direction)}
		if keys[direction], err = state.ExportKeyingMaterial(label, context, keySize); err != nil {
			return Agreement{}, err
		}
	}
	session, err := newSession(keys[0], keys[1], records.cookies)
	if err != nil {
		return Agreement{}, err
	}
	a := Agreement{Session: session, Server: records.server, Port: records.port}
	a.NotBefore, a.NotAfter = state.PeerCertificates[0].NotBefore, state.PeerCertificates[0].NotAfter
	if a.Port == 0 {
		a.Port = timePort
	}
	if a.Server == "" {
		peer, err := netip.ParseAddrPort(connection.RemoteAddr().String())
		if err != nil {
			return Agreement{}, err
		}
		a.Server = peer.Addr().String()
	}
	return a, nil
}

// verify verifies the certificate of a server for its name, at the present time. A clock that has
// not been set may be behind by as much as the image is old. Then the time of the newest
// certificate counts instead, and the server's time must be within the certificate's.
func (c *Client) verify(host string, state tls.ConnectionState) error {
	if state.NegotiatedProtocol != alpn {
		return errors.New("the server does not speak NTS")
	}
	at := time.Now()
	intermediates := x509.NewCertPool()
	for i, certificate := range state.PeerCertificates {
		if i > 0 {
			intermediates.AddCert(certificate)
		}
		if !c.IsTimeKnown() && certificate.NotBefore.After(at) {
			at = certificate.NotBefore
		}
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
		DNSName: host, Roots: c.Roots, Intermediates: intermediates, CurrentTime: at,
	})
	return err
}

// Address returns the time server as HOST:PORT.
func (a Agreement) Address() string {
	return net.JoinHostPort(a.Server, strconv.Itoa(int(a.Port)))
}
