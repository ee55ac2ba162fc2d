package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// connect returns a connection from an address of loopback.
func connect(t *testing.T, to string, from byte) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, from, 1)}}
	conn, err := dialer.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// serveBounded serves the metrics of a machine.
func serveBounded(t *testing.T, m machine) (address string, listener *boundedListener) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener = newBoundedListener(inner, maxConnections)
	s := server("", m)
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(func() { s.Close() })
	return inner.Addr().String(), listener
}

func TestIdleConnectionsAreBounded(t *testing.T) {
	address, listener := serveBounded(t, procfs(t, nil))
	keep := http.Client{}
	scrape := func() {
		t.Helper()
		response, err := keep.Get("http://" + address + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if text, err := io.ReadAll(response.Body); err != nil || !strings.Contains(string(text), "node_scrape_collector_success") {
			t.Fatalf("%.100s, %v", text, err)
		}
	}
	scrape()
	var idle []net.Conn
	for i := range 500 {
		conn := connect(t, address, byte(1+i%2))
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		idle = append(idle, conn)
	}
	scrape()
	_ = idle[0].SetReadDeadline(time.Now().Add(5 * time.Minute))
	if _, err := io.Copy(io.Discard, idle[0]); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Error("the oldest connection stays open")
	}
	listener.mutex.Lock()
	defer listener.mutex.Unlock()
	if n := len(listener.open); n > maxConnections.Total {
		t.Errorf("%d connections", n)
	}
}

// Clients that do not read their answer wait until the write timeout.
func TestSlowReadersLockOutNobody(t *testing.T) {
	links := strings.Builder{}
	for i := range 16000 {
		fmt.Fprintf(&links, "  eth%d: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n", i)
	}
	address, _ := serveBounded(t, procfs(t, map[string]string{"net/dev": links.String()}))
	for range 20 {
		conn := connect(t, address, 1)
		_ = conn.(*net.TCPConn).SetReadBuffer(4096)
		fmt.Fprint(conn, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, err := io.ReadFull(conn, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
	response, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(text), "eth15999") {
		t.Errorf("status %d, %d bytes, %v", response.StatusCode, len(text), err)
	}
}

func TestEndedConnectionsFreeTheirPlaces(t *testing.T) {
	address, listener := serveBounded(t, procfs(t, nil))
	for range 3 * maxConnections.Total {
		response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + address + "/")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	for end := time.Now().Add(5 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		listener.mutex.Lock()
		n := len(listener.open)
		listener.mutex.Unlock()
		if n == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d connections are left", n)
		}
	}
}
