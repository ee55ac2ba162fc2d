package logd

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lkt/init/logs"
)

// pair returns both ends of a Unix socket.
func pair(t testing.TB, kind int) (ours, theirs *net.UnixConn) {
	t.Helper()
	ends, err := syscall.Socketpair(syscall.AF_UNIX, kind|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	conns := make([]*net.UnixConn, 2)
	for i, fd := range ends {
		file := os.NewFile(uintptr(fd), "socket")
		conn, err := net.FileConn(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = conn.(*net.UnixConn)
	}
	return conns[0], conns[1]
}

// FuzzWriters sends a message of a memlogd client, with a pipe and its content, as any container
// with the socket can.
func FuzzWriters(f *testing.F) {
	settings := defaults()
	f.Add([]byte("web"), []byte("a line\nand another"))
	f.Add([]byte("../../etc/x"), []byte("\r\n\n\x00\xff"))
	f.Add([]byte(".hidden"), bytes.Repeat([]byte("x"), 3*logs.MaxLineLength))
	f.Fuzz(func(t *testing.T, name, content []byte) {
		dir := t.TempDir()
		d, err := newDaemon(dir, settings, os.Stderr)
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := pair(t, syscall.SOCK_DGRAM)
		ended := make(chan struct{})
		go func() { d.serveWriters(theirs); close(ended) }()
		ends := make([]int, 2)
		if err := syscall.Pipe2(ends, syscall.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		message := append([]byte{}, name[:min(len(name), 4096)]...)
		_, _, err = ours.WriteMsgUnix(message, syscall.UnixRights(ends[0]), nil)
		syscall.Close(ends[0])
		if err != nil {
			t.Fatal(err)
		}
		_, _ = syscall.Write(ends[1], content[:min(len(content), 32<<10)])
		syscall.Close(ends[1])
		want := logs.SanitizeName(string(message[:min(len(message), 512)]))
		if !logs.IsName(want) {
			t.Fatalf("%q is no name", want)
		}
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			if _, err := os.Stat(logs.Path(dir, want)); err == nil && len(d.named(want)) == 0 || len(content) == 0 {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%q: nothing was logged", want)
			}
		}
		theirs.Close()
		ours.Close()
		<-ended
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) > 1 {
			t.Fatalf("files %v, %v", entries, err)
		}
		data, _ := os.ReadFile(filepath.Join(dir, want+logs.Suffix))
		for line := range strings.Lines(string(data)) {
			if _, good := logs.ParseLine(want, []byte(strings.TrimSuffix(line, "\n"))); !good {
				t.Fatalf("stored %q", line)
			}
		}
	})
}

// FuzzQueries sends the request of a memlogd client, and expects lines of JSON, or the end.
func FuzzQueries(f *testing.F) {
	d, err := newDaemon(f.TempDir(), defaults(), os.Stderr)
	if err != nil {
		f.Fatal(err)
	}
	d.record(logs.Entry{Time: time.Now(), Source: "a", Text: "control \x1b and \xff"})
	f.Add([]byte{queryDump})
	f.Add([]byte{queryDump, queryFollow})
	f.Add([]byte{9})
	f.Fuzz(func(t *testing.T, request []byte) {
		ours, theirs := pair(t, syscall.SOCK_STREAM)
		answered := make(chan struct{})
		go func() { _ = d.store.answer(theirs); theirs.Close(); close(answered) }()
		if _, err := ours.Write(request); err != nil && len(request) > 0 && request[0] == queryDump {
			t.Fatal(err)
		}
		_ = ours.CloseWrite()
		_ = ours.SetReadDeadline(time.Now().Add(10 * time.Second))
		decoder := json.NewDecoder(ours)
		for count := 0; ; count++ {
			var e logs.Entry
			if err := decoder.Decode(&e); err != nil {
				if os.IsTimeout(err) || count == 0 && len(request) > 0 && request[0] == queryDump {
					t.Fatal(err)
				}
				break
			}
			if e.Source != "a" {
				t.Fatalf("%+v", e)
			}
		}
		ours.Close()
		<-answered
	})
}

// FuzzSettings reads settings of the kernel command line.
func FuzzSettings(f *testing.F) {
	f.Add("lkt.logs.size=128K lkt.logs.syslog=udp://[::1]:514 lkt.logs.console=all")
	f.Add("lkt.logs.syslog=tcp:// lkt.logs.rate=-1")
	f.Fuzz(func(t *testing.T, cmdline string) {
		s, problems := loadSettings(filepath.Join(t.TempDir(), "none"), cmdline)
		if s.Size < 64<<10 || s.Total < s.Size || s.Rate < 1<<10 || (s.Network == "") != (s.Address == "") {
			t.Fatalf("%+v", s)
		}
		for _, problem := range problems {
			if len(problem.Error()) > 1<<10 && len(cmdline) < 1<<10 {
				t.Fatal(problem)
			}
		}
	})
}
