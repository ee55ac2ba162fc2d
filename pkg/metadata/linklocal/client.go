// Package linklocal asks a web server at a link-local address. Nobody else can be reached with it: names are not looked up, a proxy is
// not used, a redirection is not followed. Time and size are bounded.
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
	// A link has no long ways.
	connectTime = 1500 * time.Millisecond
	requestTime = 3 * time.Second
	maxHeader   = 16 << 10
	// MaxBody is more than any provider allows for user data.
	MaxBody = 1 << 20
)

// ErrUnreachable: nobody is at the address, so other paths need not be tried.
var ErrUnreachable = errors.New("nobody answers there")

// StatusError is an answer without what was asked for.
type StatusError struct {
	Path   string
	Status int
}

func (e *StatusError) Error() string { return fmt.Sprintf("%s: status %d", e.Path, e.Status) }

// Client is for one address.
type Client struct {
	// Header goes with every request.
	Header http.Header
	// Host is what the server is called in requests, when not by its address.
	Host string

	address netip.AddrPort
	web     *http.Client
}

// New is a client for port 80 of a link-local IPv4 address. It panics for any other address.
func New(address string) *Client {
	ip := netip.MustParseAddr(address)
	if !ip.Is4() || !ip.IsLinkLocalUnicast() {
		panic(address + " is not link-local")
	}
	return newClient(netip.AddrPortFrom(ip, 80), (&net.Dialer{Timeout: connectTime}).DialContext)
}

// FromLowPort is the same client, whose port is below 1024. It needs CAP_NET_BIND_SERVICE.
func (c *Client) FromLowPort() *Client {
	low := newClient(c.address, dialFromLowPort)
	low.Header, low.Host = c.Header, c.Host
	return low
}

type dial func(ctx context.Context, network, address string) (net.Conn, error)

func newClient(address netip.AddrPort, dial dial) *Client {
	return &Client{Header: http.Header{}, address: address, web: &http.Client{
		Timeout:       requestTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			// Whatever the address that the request has: this is where it goes.
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

// Get is the body of what is at a path, and the header of the answer.
func (c *Client) Get(ctx context.Context, path string) ([]byte, http.Header, error) {
	return c.do(ctx, http.MethodGet, path, nil)
}

// Put is the body of the answer to an empty request with one more line of header.
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

// dialFromLowPort tries some ports that others may have.
func dialFromLowPort(ctx context.Context, network, address string) (conn net.Conn, err error) {
	const first, ports, tries = 512, 512, 16
	for range tries {
		from := &net.TCPAddr{Port: first + rand.IntN(ports)}
		conn, err = (&net.Dialer{Timeout: connectTime, LocalAddr: from}).DialContext(ctx, network, address)
		switch {
		case errors.Is(err, syscall.EACCES):
			return nil, fmt.Errorf("%w\n  fix: give the container CAP_NET_BIND_SERVICE", err)
		case !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EADDRNOTAVAIL):
			return conn, err
		}
	}
	return nil, err
}
