package logd

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"lkt/init/logs"
)

func TestFormat(t *testing.T) {
	at := time.Date(2020, 2, 29, 13, 0, 0, 5000, time.FixedZone("", 3600))
	for want, e := range map[string]logs.Entry{
		"<30>1 2020-02-29T12:00:00.000005Z host a - - - text":          {Time: at, Source: "a", Text: "text"},
		"<30>1 2020-02-29T12:00:00.000005Z host a_b - - - é?[1m\ttext": {Time: at, Source: "a b", Text: "é\x1b[1m\ttext"},
	} {
		if got := format(e, "host"); got != want {
			t.Errorf("%q instead of %q", got, want)
		}
	}
	if got := format(logs.Entry{Time: at, Source: strings.Repeat("x", 100)}, ""); !strings.Contains(got, " - "+strings.Repeat("x", 48)+" - ") {
		t.Error(got)
	}
}

func TestSyslogSendsDatagrams(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	d := startDaemon(t, func(s *Settings) { s.Network, s.Address = "udp", server.LocalAddr().String() })
	out := writer(t, d, "a")
	fmt.Fprintln(out, "hello")
	fmt.Fprintln(out, strings.Repeat("x", 4000))
	data := make([]byte, 8192)
	_ = server.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, _, err := server.ReadFrom(data)
	if err != nil || !strings.HasSuffix(string(data[:n]), " a - - - hello") {
		t.Errorf("%q %v", data[:n], err)
	}
	if n, _, err = server.ReadFrom(data); err != nil || n != maxDatagram {
		t.Errorf("%d bytes %v", n, err)
	}
}

func TestSyslogQueuesLinesUntilServerIsReachable(t *testing.T) {
	first, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := first.Addr().String()
	first.Close()
	d := startDaemon(t, func(s *Settings) { s.Network, s.Address = "tcp", address })
	out := writer(t, d, "a")
	fmt.Fprintln(out, "early")
	d.drain("a")
	server, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for _, want := range []string{"early", "after the server was gone"} {
		client, err := server.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if got := frame(t, client); !strings.HasSuffix(got, " - - - "+want) {
			t.Errorf("%q", got)
		}
		client.Close()
		time.Sleep(50 * time.Millisecond)
		fmt.Fprintln(out, "after the server was gone")
	}
}

// frame reads a message with octet counting.
func frame(t *testing.T, from net.Conn) string {
	t.Helper()
	_ = from.SetReadDeadline(time.Now().Add(10 * time.Second))
	var size int
	reader := bufio.NewReader(from)
	if _, err := fmt.Fscanf(reader, "%d ", &size); err != nil {
		t.Fatal(err)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(reader, text); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestQueueLimitsShareOfSource(t *testing.T) {
	dropped := map[string]int{}
	q := newQueue(10_000, func(source string) { dropped[source]++ })
	for range 1000 {
		q.put(logs.Entry{Source: "flood", Text: "x"})
	}
	q.put(logs.Entry{Source: "calm", Text: "x"})
	if dropped["flood"] < 900 || dropped["calm"] != 0 {
		t.Error(dropped)
	}
	for found := true; found; {
		_, found = q.tryTake()
	}
	q.put(logs.Entry{Source: "flood", Text: "x"})
	if q.isEmpty() || q.bytes != weight(logs.Entry{Source: "flood", Text: "x"}) {
		t.Errorf("%d bytes", q.bytes)
	}
}
