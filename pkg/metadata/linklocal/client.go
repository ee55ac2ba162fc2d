// Package linklocal is an HTTP client for a link-local address. It cannot reach any other host: it
// resolves no names, uses no proxy and follows no redirects. It limits time and size.
package linklocal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

const (
	// Link-local hosts are near.
	connectTimeout = 1500 * time.Millisecond
	requestTimeout = 3 * time.Second
	maxHeader      = 16 << 10
	// MaxBody is more than any provider allows for user data.
	MaxBody = 1 << 20
)

// ErrUnreachable means that no host answers at the address, so that other paths need not be tried.
var ErrUnreachable = errors.New("no host answers")

// StatusError is a response with a status other than 200.
type StatusError struct {
	Path   string
	Status int
}

func (e *StatusError) Error() string { return fmt.Sprintf("%s: status %d", e.Path, e.Status) }

// Client is a client for one address.
type Client struct {
	// Header is sent with every request.
	Header http.Header
	// Host is the Host header, by default the address.
	Host string

	address netip.AddrPort
	web     *http.Client
}

// New returns a client for port 80 of a link-local IPv4 address. It panics for any other address.
func New(address string) *Client {
	ip := netip.MustParseAddr(address)
	if !ip.Is4() || !ip.IsLinkLocalUnicast() {
		panic(address + " is not a link-local address")
	}
	return newClient(netip.AddrPortFrom(ip, 80), (&net.Dialer{Timeout: connectTimeout}).DialContext)
}

// FromLowPort returns the same client with a source port below 1024. It needs CAP_NET_BIND_SERVICE.
func (c *Client) FromLowPort() *Client {
	client := newClient(c.address, dialFromLowPort)
	client.Header, client.Host = c.Header, c.Host
	return client
}

type dial func(ctx context.Context, network, address string) (net.Conn, error)

func newClient(address netip.AddrPort, dial dial) *Client {
	return &Client{Header: http.Header{}, address: address, web: &http.Client{
		Timeout:       requestTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			// Always connect to the client's address, whatever the URL says.
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				conn, err := dial(ctx, "tcp4", address.String())
				if err != nil {
					return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
				}
				return conn, nil
			},
			DisableCompression:     true,
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: maxHeader,
		},
	}}
}

// Get returns the body and the header of the response for a path.
func (c *Client) Get(ctx context.Context, path string) ([]byte, http.Header, error) {
	return c.do(ctx, http.MethodGet, path, nil)
}

// Put sends an empty request with one more header field, and returns the body of the response.
func (c *Client) Put(ctx context.Context, path, key, value string) ([]byte, error) {
	body, _, err := c.do(ctx, http.MethodPut, path, http.Header{key: {value}})
	return body, err
}

func (c *Client) do(ctx context.Context, method, path string, more http.Header) ([]byte, http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+c.address.Addr().String()+path, nil)
	if err != nil {
		return nil, nil, err
	}
	request.Host = c.Host
	for _, header := range []http.Header{{"User-Agent": {"lkt-metadata"}}, c.Header, more} {
		for key, values := range header {
			request.Header[key] = values
		}
	}
	response, err := c.web.Do(request)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, nil, &StatusError{path, response.StatusCode}
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, MaxBody+1))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(body) > MaxBody {
		return nil, nil, fmt.Errorf("%s: more than %d bytes", path, MaxBody)
	}
	return body, response.Header, nil
}

// dialFromLowPort tries several random ports, which may be in use.
func dialFromLowPort(ctx context.Context, network, address string) (conn net.Conn, err error) {
	const first, ports, tries = 512, 512, 16
	for range tries {
		from := &net.TCPAddr{Port: first + rand.IntN(ports)}
		conn, err = (&net.Dialer{Timeout: connectTimeout, LocalAddr: from}).DialContext(ctx, network, address)
		switch {
		case errors.Is(err, syscall.EACCES):
			return nil, fmt.Errorf("%w\n  fix: give the container CAP_NET_BIND_SERVICE", err)
		case !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EADDRNOTAVAIL):
			return conn, err
		}
	}
	return nil, err
}
