package logd

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lkt/init/logs"
)

func startDaemon(t *testing.T, change func(*Settings)) *daemon {
	t.Helper()
	settings := defaults()
	if change != nil {
		change(&settings)
	}
	d, err := newDaemon(t.TempDir(), settings, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// writer returns the write end of a pipe that the daemon reads.
func writer(t *testing.T, d *daemon, name string) *os.File {
	t.Helper()
	ends := make([]int, 2)
	if err := syscall.Pipe(ends); err != nil {
		t.Fatal(err)
	}
	file := streamFile(ends[0])
	if file == nil {
		t.Fatal("rejected a pipe")
	}
	d.add(name, file, maxSources)
	out := os.NewFile(uintptr(ends[1]), "writer")
	t.Cleanup(func() { out.Close() })
	return out
}

func TestRecordsOutputByLine(t *testing.T) {
	d := startDaemon(t, nil)
	out := writer(t, d, "a")
	fmt.Fprint(out, "first\nsecond\r\n\nwith\x00odd\xffbytes\n", strings.Repeat("x", 10_000), "\nafter\nno end")
	d.drain("a")
	got := read(t, d.store.dir, "a")
	want := []string{"first", "second", "", "with\x00odd\xffbytes", strings.Repeat("x", logs.MaxLineLength), "after", "no end"}
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("%.200q", got)
	}
}

func TestRecordsUnfinishedLineAfterTimeout(t *testing.T) {
	d := startDaemon(t, nil)
	out := writer(t, d, "a")
	fmt.Fprint(out, "login: ")
	for end := time.Now().Add(10 * time.Second); len(read(t, d.store.dir, "a")) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the line is not recorded")
		}
	}
}

func TestRateLimitAffectsOnlyFloodingSource(t *testing.T) {
	d := startDaemon(t, func(s *Settings) { s.Size, s.Rate = 128<<10, 1<<10 })
	flood, calm := writer(t, d, "flood"), writer(t, d, "calm")
	var all sync.WaitGroup
	all.Add(2)
	go func() {
		defer all.Done()
		for i := range 30_000 {
			fmt.Fprintf(flood, "flood %d %s\n", i, strings.Repeat("x", 80))
		}
	}()
	go func() {
		defer all.Done()
		for i := range 200 {
			fmt.Fprintf(calm, "calm %d\n", i)
			time.Sleep(time.Millisecond)
		}
	}()
	all.Wait()
	d.drain("flood")
	d.drain("calm")
	if lines := read(t, d.store.dir, "calm"); len(lines) != 200 {
		t.Errorf("%d calm lines", len(lines))
	}
	status := d.store.status()["flood"]
	if status.DroppedLines < 25_000 || status.Lines+status.DroppedLines < 30_000 {
		t.Errorf("%+v", status)
	}
	text := strings.Join(read(t, d.store.dir, "flood"), "\n")
	if !strings.Contains(text, "lines dropped") {
		t.Error("the log does not report dropped lines")
	}
}

func TestRateLimitCountsEmptyLines(t *testing.T) {
	d := startDaemon(t, func(s *Settings) { s.Size, s.Rate = 64<<10, 1<<10 })
	out := writer(t, d, "a")
	fmt.Fprint(out, strings.Repeat("\n", 50_000))
	d.drain("a")
	if status := d.store.status()["a"]; status.Lines > 5000 {
		t.Errorf("%+v", status)
	}
}

// A console that does not take all lines at once has a count of those that it misses.
func TestConsoleCountsLinesThatItMisses(t *testing.T) {
	console, shown := io.Pipe()
	settings := defaults()
	settings.Console = ConsoleAll
	d, err := newDaemon(t.TempDir(), settings, shown)
	if err != nil {
		t.Fatal(err)
	}
	const written = 3000
	for i := range written {
		d.record(logs.Entry{Time: time.Now(), Source: "a", Text: fmt.Sprint(i)})
	}
	lines := 0
	for said := bufio.NewScanner(console); said.Scan(); lines++ {
		missed := 0
		if n, _ := fmt.Sscanf(said.Text(), "lkt-logs: %d lines are only in the logs", &missed); n == 0 {
			continue
		}
		if lines+missed != written {
			t.Errorf("%d lines and %d that are missing", lines, missed)
		}
		return
	}
}

func TestServeWriters(t *testing.T) {
	d := startDaemon(t, nil)
	path := filepath.Join(t.TempDir(), "writers.sock")
	server, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go d.serveWriters(server)
	client, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(client)
	send := func(name string, descriptors ...int) {
		t.Helper()
		to := &syscall.SockaddrUnix{Name: path}
		if err := syscall.Sendmsg(client, []byte(name), syscall.UnixRights(descriptors...), to, 0); err != nil {
			t.Fatal(err)
		}
		for _, fd := range descriptors {
			syscall.Close(fd)
		}
	}
	file, err := syscall.Open("/proc/self/status", syscall.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	send("a-file", file)
	send("nothing attached")
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	send("../etc/x", ends[1])
	out := os.NewFile(uintptr(ends[0]), "writer")
	fmt.Fprintln(out, "hello")
	out.Close()
	for end := time.Now().Add(10 * time.Second); len(read(t, d.store.dir, "_._etc_x")) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not seen: %v", d.store.status())
		}
	}
	if _, found := d.store.status()["a-file"]; found {
		t.Error("read a regular file")
	}
}

func TestServeControl(t *testing.T) {
	d := startDaemon(t, nil)
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET, 0)
	if err != nil {
		t.Fatal(err)
	}
	var sides [2]*net.UnixConn
	for i, fd := range pair {
		file := os.NewFile(uintptr(fd), "control")
		connection, err := net.FileConn(file)
		if err != nil {
			t.Fatal(err)
		}
		file.Close()
		sides[i] = connection.(*net.UnixConn)
	}
	ended := make(chan struct{})
	go func() { d.serveControl(sides[1]); close(ended) }()
	ends := make([]int, 2)
	if err := syscall.Pipe(ends); err != nil {
		t.Fatal(err)
	}
	if _, _, err := sides[0].WriteMsgUnix([]byte("+a"), syscall.UnixRights(ends[0]), nil); err != nil {
		t.Fatal(err)
	}
	out := os.NewFile(uintptr(ends[1]), "writer")
	defer out.Close()
	for i := range 50 {
		fmt.Fprintf(out, "%d", i)
		if _, err := sides[0].Write([]byte("?a")); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 10)
		n, err := sides[0].Read(answer)
		if err != nil || string(answer[:n]) != "?a" {
			t.Fatalf("%q %v", answer[:n], err)
		}
		if lines := read(t, d.store.dir, "a"); len(lines) != i+1 || lines[i] != fmt.Sprint(i) {
			t.Fatalf("after %d: %q", i, lines)
		}
	}
	sides[0].Close()
	<-ended
}

func query(t *testing.T, d *daemon, mode byte) *bufio.Scanner {
	t.Helper()
	path := filepath.Join(t.TempDir(), "queries.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go d.store.serveQueries(listener)
	client, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if _, err := client.Write([]byte{mode}); err != nil {
		t.Fatal(err)
	}
	_ = client.SetReadDeadline(time.Now().Add(10 * time.Second))
	return bufio.NewScanner(client)
}

// next reads an entry as a client of memlogd does.
func next(t *testing.T, answer *bufio.Scanner) (source, msg string) {
	t.Helper()
	if !answer.Scan() {
		return "", ""
	}
	var line struct {
		Time        time.Time
		Source, Msg string
	}
	decoder := json.NewDecoder(bytes.NewReader(answer.Bytes()))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&line); err != nil || line.Time.IsZero() {
		t.Fatalf("%s: %v", answer.Text(), err)
	}
	return line.Source, line.Msg
}

func TestServeQueriesLikeMemlogd(t *testing.T) {
	d := startDaemon(t, nil)
	out := writer(t, d, "a")
	fmt.Fprintln(out, "<old>")
	d.drain("a")
	dump := query(t, d, queryDump)
	if source, msg := next(t, dump); source != "a" || msg != "<old>" {
		t.Errorf("%s %s", source, msg)
	}
	if source, _ := next(t, dump); source != "" {
		t.Error("the dump does not end")
	}
	both, follow := query(t, d, queryDumpAndFollow), query(t, d, queryFollow)
	if _, msg := next(t, both); msg != "<old>" {
		t.Error(msg)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		d.store.mutex.Lock()
		readers := len(d.store.readers)
		d.store.mutex.Unlock()
		if readers == 2 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the readers are not registered")
		}
	}
	fmt.Fprintln(out, "new")
	for name, answer := range map[string]*bufio.Scanner{"both": both, "follow": follow} {
		if _, msg := next(t, answer); msg != "new" {
			t.Errorf("%s: %q", name, msg)
		}
	}
	if source, _ := next(t, query(t, d, 9)); source != "" {
		t.Error("answered an unknown mode")
	}
}
