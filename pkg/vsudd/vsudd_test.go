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
	from := filepath.Join(t.TempDir(), "from")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: from, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	file, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = serve(file, path, make(chan struct{}, 2)) }()
	client, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: from, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); listener.Close() })
	return client
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
