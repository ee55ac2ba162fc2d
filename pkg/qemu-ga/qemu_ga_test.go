package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lkt/shutdown"
)

func newAgent(asked *[]shutdown.Mode) *agent {
	return &agent{power: func(m shutdown.Mode) error {
		*asked = append(*asked, m)
		return nil
	}}
}

// port is a port with the given requests, after which it fails.
type port struct {
	io.Reader
	bytes.Buffer
}

var errClosed = errors.New("closed")

func (p *port) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if errors.Is(err, io.EOF) {
		err = errClosed
	}
	return n, err
}

func ask(t *testing.T, requests string) (answers string, asked []shutdown.Mode) {
	t.Helper()
	p := &port{Reader: strings.NewReader(requests)}
	if err := newAgent(&asked).serve(p); !errors.Is(err, errClosed) {
		t.Fatal(err)
	}
	return p.String(), asked
}

func TestAnswers(t *testing.T) {
	for request, want := range map[string]string{
		`{"execute":"guest-ping"}`:                                      `{"return":{}}`,
		`{"execute":"guest-sync","arguments":{"id":-7}}`:                `{"return":-7}`,
		`{"execute":"guest-sync-delimited","arguments":{"id":12}}`:      "\xff" + `{"return":12}`,
		"half a {\xff" + `{"execute":"guest-get-users"}`:                `{"return":[]}`,
		`{"execute":"guest-sync"}`:                                      `{"error":{"class":"GenericError","desc":"the argument id must be an integer"}}`,
		`{"execute":"guest-exec","arguments":{"path":"/bin/sh"}}`:       `{"error":{"class":"CommandNotFound","desc":"The command guest-exec has not been found"}}`,
		`{"execute":"guest-file-open","arguments":{"path":"/"}}`:        `{"error":{"class":"CommandNotFound","desc":"The command guest-file-open has not been found"}}`,
		`{"execute":"guest-get-timezone"}`:                              `{"return":{"offset":0,"zone":"UTC"}}`,
		`{"execute":"guest-shutdown","arguments":{"mode":"hibernate"}}`: `{"error":{"class":"GenericError","desc":"the mode must be powerdown, reboot or halt, not \"hibernate\""}}`,
		strings.Repeat("x", maxRequest+1):                               `{"error":{"class":"GenericError","desc":"the request is too long"}}`,
	} {
		if got, asked := ask(t, request+"\n"); got != want+"\n" || asked != nil {
			t.Errorf("%.60q: %q, %v", request, got, asked)
		}
	}
	if got, _ := ask(t, "not json\n"); !strings.HasPrefix(got, `{"error":{"class":"GenericError"`) {
		t.Error(got)
	}
}

func TestShutdownHasNoAnswer(t *testing.T) {
	requests := `{"execute":"guest-shutdown"}
{"execute":"guest-shutdown","arguments":{"mode":"reboot"}}
{"execute":"guest-shutdown","arguments":{"mode":"halt"}}
`
	if got, asked := ask(t, requests); got != "" || string([]byte{byte(asked[0]), byte(asked[1]), byte(asked[2])}) != "prh" {
		t.Errorf("%q, %v", got, asked)
	}
}

func TestDescribesTheMachine(t *testing.T) {
	got, _ := ask(t, `{"execute":"guest-info"}
{"execute":"guest-get-osinfo"}
{"execute":"guest-network-get-interfaces"}
{"execute":"guest-get-host-name"}
{"execute":"guest-get-time"}
`)
	lines := strings.Split(strings.TrimSpace(got), "\n")
	for i, want := range []string{`{"enabled":true,"name":"guest-ping","success-response":true}`, `"kernel-release":"`, `"ip-address":"127.0.0.1"`, `"host-name":"`, `{"return":1`} {
		var answer map[string]json.RawMessage
		if err := json.Unmarshal([]byte(lines[i]), &answer); err != nil || answer["return"] == nil {
			t.Fatalf("%q: %v", lines[i], err)
		}
		if i > 0 && !strings.Contains(lines[i], want) {
			t.Errorf("%q lacks %q", lines[i], want)
		}
	}
}

func TestFindPort(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"vport1p1": "com.redhat.spice.0\n", "vport2p1": portName + "\n"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "name"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := findPort(dir); err != nil || got != "/dev/vport2p1" {
		t.Error(got, err)
	}
	if got, err := findPort(filepath.Join(dir, "absent")); err != nil || got != "" {
		t.Error(got, err)
	}
}

// FuzzAnswer answers any request with one line of JSON, or not at all.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"execute":"guest-sync-delimited","arguments":{"id":1}}`))
	f.Add([]byte(`{"execute":"guest-shutdown","arguments":{"mode":"halt"}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var asked []shutdown.Mode
		answer := newAgent(&asked).answer(line, false)
		if answer = bytes.TrimPrefix(answer, []byte{delimiter}); answer != nil && !json.Valid(answer) {
			t.Fatalf("%q", answer)
		}
	})
}
