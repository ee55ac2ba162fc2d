package linklocal

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// serve returns a client of a test server, without a limit of time: a busy machine answers late.
func serve(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	c := serveInTime(t, handler)
	c.web.Timeout = 0
	return c
}

// serveInTime returns a client of a test server. Only tests can create a client that is not
// link-local.
func serveInTime(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return newClient(netip.MustParseAddrPort(server.Listener.Addr().String()), (&net.Dialer{}).DialContext)
}

func TestNewRejectsOtherAddresses(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "10.0.0.1", "fe80::1", "8.8.8.8", "0.0.0.0", "224.0.0.1"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: accepted", address)
				}
			}()
			New(address)
		}()
	}
	New("169.254.169.254")
}

func TestSendsHeaderAndHost(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "metadata.example" || r.Header.Get("Flavor") != "x" || r.URL.Path != "/a/b" {
			http.Error(w, "no", http.StatusBadRequest)
		}
		w.Header().Set("Answer", r.Method+r.Header.Get("More"))
		_, _ = w.Write([]byte("yes"))
	})
	c.Host = "metadata.example"
	c.Header.Set("Flavor", "x")
	body, header, err := c.Get(context.Background(), "/a/b")
	if err != nil || string(body) != "yes" || header.Get("Answer") != "GET" {
		t.Errorf("%q, %v, %v", body, header, err)
	}
	if body, err = c.Put(context.Background(), "/a/b", "More", "y"); err != nil || string(body) != "yes" {
		t.Errorf("%q, %v", body, err)
	}
}

func TestDoesNotFollowRedirects(t *testing.T) {
	other := false
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		other = other || r.URL.Path == "/other"
		http.Redirect(w, r, "/other", http.StatusFound)
	})
	_, _, err := c.Get(context.Background(), "/")
	var status *StatusError
	if !errors.As(err, &status) || status.Status != http.StatusFound || other {
		t.Errorf("%v, other %v", err, other)
	}
}

func TestLimitsSize(t *testing.T) {
	for want, handler := range map[string]http.HandlerFunc{
		"/: more than 1048576 bytes": func(w http.ResponseWriter, _ *http.Request) {
			for range MaxBody>>10 + 1 {
				_, _ = w.Write([]byte(strings.Repeat("x", 1<<10)))
			}
		},
		"response headers exceeded 16384 bytes": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Long", strings.Repeat("x", 32<<10))
			_, _ = w.Write([]byte("x"))
		},
	} {
		body, _, err := serve(t, handler).Get(context.Background(), "/")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d bytes, %v instead of %s", len(body), err, want)
		}
	}
}

// Without a limit of time, the request would not end.
func TestLimitsTime(t *testing.T) {
	for name, first := range map[string]string{"no response": "", "a body that never ends": "x"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := serveInTime(t, func(w http.ResponseWriter, r *http.Request) {
				if first != "" {
					_, _ = w.Write([]byte(first))
					w.(http.Flusher).Flush()
				}
				<-r.Context().Done()
			}).Get(context.Background(), "/")
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := netip.MustParseAddrPort(listener.Addr().String())
	listener.Close()
	c := newClient(address, (&net.Dialer{}).DialContext)
	if _, _, err := c.Get(context.Background(), "/"); !errors.Is(err, ErrUnreachable) {
		t.Error(err)
	}
}
