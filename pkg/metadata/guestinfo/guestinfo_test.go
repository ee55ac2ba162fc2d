package guestinfo

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"maps"
	"strings"
	"testing"

	"lkt/vmware/backdoor"
	"lkt/vmware/emulator"
)

func packed(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return encoded(b.String())
}

func encoded(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func TestRead(t *testing.T) {
	const data, meta = "#cloud-config\n", "instance-id: i-1\nlocal-hostname: web\n"
	for name, facts := range map[string]map[string]string{
		"plain":       {"guestinfo.userdata": data, "guestinfo.metadata": meta},
		"blank":       {"guestinfo.userdata": data, "guestinfo.userdata.encoding": " ", "guestinfo.metadata": meta},
		"base64":      {"guestinfo.userdata": encoded(data) + "\n", "guestinfo.userdata.encoding": "base64", "guestinfo.metadata": encoded(meta), "guestinfo.metadata.encoding": "b64"},
		"gzip+base64": {"guestinfo.userdata": packed(t, data), "guestinfo.userdata.encoding": "gzip+base64", "guestinfo.metadata": packed(t, meta), "guestinfo.metadata.encoding": "gz+b64"},
	} {
		h := &emulator.Host{Facts: facts}
		m, err := read(h.Call)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := map[string]string{"instance_id": "i-1", "hostname": "web"}
		if m.Provider != "VMWARE" || string(m.UserData) != data || !maps.Equal(m.Values, want) || m.Problems != nil || h.Violations() != nil {
			t.Errorf("%s: %+v, %v", name, m, h.Violations())
		}
	}
}

func TestReadWithOneVariable(t *testing.T) {
	m, err := read((&emulator.Host{Facts: map[string]string{"guestinfo.metadata": `{"local-hostname": "web"}`, "guestinfo.userdata": "---"}}).Call)
	if err != nil || m.UserData != nil || m.Values["hostname"] != "web" {
		t.Errorf("%+v, %v", m, err)
	}
	m, err = read((&emulator.Host{Facts: map[string]string{"guestinfo.userdata": "x"}}).Call)
	if err != nil || string(m.UserData) != "x" || len(m.Values) > 0 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestReadFindsNone(t *testing.T) {
	for _, facts := range []map[string]string{{}, {"guestinfo.userdata": " ", "guestinfo.metadata": "---\n", "guestinfo.userdata.encoding": "rot13"}} {
		if m, err := read((&emulator.Host{Facts: facts}).Call); !errors.Is(err, errNone) {
			t.Errorf("%+v, %v", m, err)
		}
	}
	if !backdoor.IsVMware() {
		if m, err := Read(); !errors.Is(err, errElsewhere) {
			t.Errorf("%+v, %v", m, err)
		}
	}
}

func TestReadRejects(t *testing.T) {
	many := strings.Repeat("x", maxData)
	for want, c := range map[string]struct{ text, encoding string }{
		`unknown encoding "rot13"`: {"x", "rot13"},
		"illegal base64":           {"*", "base64"},
		"gzip: invalid header":     {encoded("not compressed"), "gzip+base64"},
		"unexpected EOF":           {encoded("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x00"), "gz+b64"},
		"more than 16777216 bytes": {packed(t, many+"x"), "gzip+base64"},
	} {
		h := &emulator.Host{Facts: map[string]string{"guestinfo.userdata": c.text, "guestinfo.userdata.encoding": c.encoding, "guestinfo.metadata": "x"}}
		if m, err := read(h.Call); err == nil || errors.Is(err, errNone) || !strings.Contains(err.Error(), "guestinfo.userdata: "+want) {
			t.Errorf("%s: %+v, %v", want, m, err)
		}
		// Without a name and an id a machine still has its user data.
		h = &emulator.Host{Facts: map[string]string{"guestinfo.metadata": c.text, "guestinfo.metadata.encoding": c.encoding, "guestinfo.userdata": "x"}}
		if m, err := read(h.Call); err != nil || len(m.Problems) != 1 || !strings.Contains(m.Problems[0].Error(), "guestinfo.metadata: "+want) {
			t.Errorf("%s: %+v, %v", want, m, err)
		}
	}
	// The largest value.
	h := &emulator.Host{Facts: map[string]string{"guestinfo.userdata": packed(t, many), "guestinfo.userdata.encoding": "gzip+base64"}}
	if m, err := read(h.Call); err != nil || len(m.UserData) != maxData {
		t.Error(err)
	}
	// The host may refuse a request for another reason than that a variable is not set.
	if m, err := read((&emulator.Host{Refuse: []string{"info-get"}}).Call); err == nil || errors.Is(err, errNone) || !strings.Contains(err.Error(), `refused the request: "Unknown command"`) {
		t.Errorf("%+v, %v", m, err)
	}
}

// FuzzRead reads any variables from a host that breaks the protocol where spoil says so.
func FuzzRead(f *testing.F) {
	f.Add("x", "", "instance-id: a\nlocal-hostname: b", "", []byte{})
	f.Add(encoded("x"), "base64", packed(f, "instance-id: a"), "gz+b64", bytes.Repeat([]byte{0, 0, 0, 0xf1, 4, 0, 3, 0}, 20))
	f.Add("---", "", "x", "rot13", bytes.Repeat([]byte{0, 0xf2, 0, 0, 1, 0}, 60))
	f.Fuzz(func(t *testing.T, data, dataEncoding, meta, metaEncoding string, spoil []byte) {
		h := &emulator.Host{Facts: map[string]string{
			"guestinfo.userdata": data, "guestinfo.userdata.encoding": dataEncoding, "guestinfo.metadata": meta, "guestinfo.metadata.encoding": metaEncoding,
		}}
		calls := 0
		m, err := read(func(r *backdoor.Registers) error {
			// Four variables of 64 KiB, eight times.
			if calls++; calls > 4*8*(backdoor.MaxMessage/4+100) {
				t.Fatal("no end of calls")
			}
			_ = h.Call(r)
			if len(spoil) < 5 {
				return nil
			}
			which := spoil[0]
			spoil = spoil[1:]
			if which >= 0xf0 {
				*[]*uint32{&r.AX, &r.BX, &r.CX, &r.DX, &r.SI, &r.DI}[int(which-0xf0)%6] = binary.LittleEndian.Uint32(spoil)
				spoil = spoil[4:]
			}
			return nil
		})
		if err != nil {
			return
		}
		if len(m.UserData) > maxData {
			t.Fatalf("%d bytes of user data", len(m.UserData))
		}
		for name, value := range m.Values {
			if name != "instance_id" && name != "hostname" || strings.ContainsAny(value, "\n\r\x00\x1b") {
				t.Fatalf("%q: %q", name, value)
			}
		}
	})
}
