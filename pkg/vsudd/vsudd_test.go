package main

import (
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	all, err := parse([]string{"-inport", "2374:unix:/run/containerd/containerd.sock", "-inport", "0x947:unix:/a:b"})
	if err != nil || len(all) != 2 || all[0].Port != 2374 || all[1].Port != 2375 || all[1].Path != "/a:b" {
		t.Errorf("%+v, %v", all, err)
	}
	for _, text := range []string{"", "-inport 1", "-inport 1:tcp:/a", "-inport 1:unix:a", "-inport 0:unix:/a", "-inport 4294967295:unix:/a", "-inport 1:unix:/a more", "-detach"} {
		if all, err := parse(strings.Fields(text)); err == nil {
			t.Errorf("%q: %+v", text, all)
		}
	}
}

// forwarded serves forwards from one Unix socket to another, and returns a client.
func forwarded(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	return dial(t, forwarder(t, path, newPlaces(2, maxIdle)))
}

func dial(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	client, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// forwarder serves forwards to a Unix socket, and returns the path of its own.
func forwarder(t *testing.T, path string, clients *places) string {
	t.Helper()
	from := filepath.Join(t.TempDir(), "from")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: from, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	file, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = serve(file, path, clients) }()
	t.Cleanup(func() { listener.Close() })
	return from
}

func TestForwardsBothDirectionsUntilBothEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "to")
	server, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		connection, err := server.Accept()
		if err != nil {
			return
		}
		// Answers only after the end of the request.
		request, _ := io.ReadAll(connection)
		_, _ = connection.Write(append([]byte("answer to "), request...))
		connection.Close()
	}()
	client := forwarded(t, path)
	if _, err := io.WriteString(client, "a request"); err != nil {
		t.Fatal(err)
	}
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(client); err != nil || string(got) != "answer to a request" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestClosesTheConnectionWithoutAServer(t *testing.T) {
	client := forwarded(t, filepath.Join(t.TempDir(), "absent"))
	if got, err := io.ReadAll(client); err != nil || len(got) != 0 {
		t.Errorf("%q, %v", got, err)
	}
}

// echo answers each client with what it sends, and returns the path of its socket.
func echo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "to")
	server, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	go func() {
		for {
			connection, err := server.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(connection, connection)
				connection.Close()
			}()
		}
	}()
	return path
}

// isServed reports whether a client gets an answer.
func isServed(client net.Conn) bool {
	if _, err := client.Write([]byte("x")); err != nil {
		return false
	}
	_, err := io.ReadFull(client, make([]byte, 1))
	return err == nil
}

func TestSilentClientsLockOutNobody(t *testing.T) {
	const most = 4
	from := forwarder(t, echo(t), newPlaces(most, 0))
	var silent []net.Conn
	for range 3 * most {
		silent = append(silent, dial(t, from))
	}
	for range 3 * most {
		if !isServed(dial(t, from)) {
			t.Error("is not served")
		}
	}
	if isServed(silent[0]) {
		t.Error("the first silent client kept its place")
	}
}

func TestClientsWaitForAPlaceInUse(t *testing.T) {
	from := forwarder(t, echo(t), newPlaces(1, maxIdle))
	first, second := dial(t, from), dial(t, from)
	if !isServed(first) {
		t.Fatal("the first is not served")
	}
	served := make(chan bool)
	go func() { served <- isServed(second) }()
	if !isServed(first) {
		t.Error("the first lost its place")
	}
	first.Close()
	if !<-served {
		t.Error("the second is not served")
	}
}
