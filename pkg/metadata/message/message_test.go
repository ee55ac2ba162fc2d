package message

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lkt/metadata/instance"
	"lkt/sandbox"
)

func TestReceiveReturnsWhatWasSent(t *testing.T) {
	full := instance.New("AWS")
	full.Set("hostname", "web")
	full.AddKeys("ssh-ed25519 A\nssh-ed25519 B\n")
	full.UserData = bytes.Repeat([]byte("x"), 100_000)
	full.Problem(errors.New("a problem"))
	empty := instance.New("CDROM")
	for _, want := range []*instance.Metadata{full, empty} {
		a, b, err := sandbox.NewPair()
		if err != nil {
			t.Fatal(err)
		}
		sent := make(chan error)
		go func() { sent <- Send(a, want, nil) }()
		got, err := Receive(b)
		if failure := <-sent; err != nil || failure != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v, %v", got, err, failure)
		}
		go func() { sent <- Send(a, nil, errors.New("no\x1bway\n  fix: x")) }()
		if _, err := Receive(b); err == nil || err.Error() != "no?way\n  fix: x" {
			t.Error(err)
		}
		<-sent
		go func() { sent <- Send(a, nil, ErrNone) }()
		if _, err := Receive(b); !errors.Is(err, ErrNone) {
			t.Error(err)
		}
		<-sent
		unix.Close(int(a))
		if _, err := Receive(b); !errors.Is(err, sandbox.ErrClosed) {
			t.Error(err)
		}
	}
}

func TestDecodeRejectsWhatNoReaderSends(t *testing.T) {
	for name, text := range map[string]string{
		"another file":  `{"Values":{"../x":"y"}}`,
		"a file of its": `{"Values":{"userdata":"y"}}`,
		"data":          `{"HasUserData":false}`,
		"no JSON":       `x`,
	} {
		if m, err := decode([]byte(text), []byte("data")); err == nil {
			t.Errorf("%s: %+v", name, m)
		}
	}
	m, err := decode([]byte(`{"Values":{"hostname":"a b"},"Keys":["`+strings.Repeat("k", 20_000)+`"]}`), nil)
	if err != nil || len(m.Values) != 0 || len(m.Keys) != 0 || len(m.Problems) != 2 {
		t.Errorf("%+v, %v", m, err)
	}
	if _, _, err := sizes(prefix(1, maxUserData+1)); err == nil {
		t.Error("accepted too much user data")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"Provider":"AWS","Values":{"hostname":"a"},"Keys":["k"],"Problems":["p"],"HasUserData":true}`), []byte("data"))
	f.Fuzz(func(t *testing.T, text, data []byte) {
		m, err := decode(text, data)
		if err != nil {
			return
		}
		for name, value := range m.Values {
			if !isName(name) || strings.ContainsAny(value, "\n\x00/\x1b") && name == "hostname" {
				t.Fatalf("%q: %q", name, value)
			}
		}
		if strings.Contains(m.Provider, "\x1b") {
			t.Fatalf("%q", m.Provider)
		}
	})
}
