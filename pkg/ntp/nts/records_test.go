package nts

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
)

func record(kind uint16, body ...byte) string {
	b := binary.BigEndian.AppendUint16(nil, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return string(append(b, body...))
}

// Records of an answer.
var (
	protocol = record(critical|recordProtocol, 0, 0)
	aead     = record(recordAEAD, 0, aeadSIV)
	cookie   = record(recordCookie, bytes.Repeat([]byte{'c'}, 100)...)
	end      = record(critical | recordEnd)
)

func TestReadAnswer(t *testing.T) {
	// The rest after the end is not read.
	text := protocol + aead + strings.Repeat(cookie, 10) + record(recordServer, []byte("ntp.example")...) + record(recordPort, 4, 99) + record(77, 1) + end + "rest"
	a, err := readAnswer(strings.NewReader(text))
	if err != nil || len(a.cookies) != maxCookies || len(a.cookies[7]) != 100 || a.server != "ntp.example" || a.port != 1123 {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestReadAnswerRejects(t *testing.T) {
	for want, text := range map[string]string{
		"EOF":                        "",
		"unexpected EOF":             protocol + aead + cookie[:50],
		"no common protocol and":     protocol + cookie + end,
		"common protocol and algo":   aead + cookie + end,
		"no common protocol":         record(recordProtocol, 0, 1) + aead + cookie + end,
		"no common algorithm":        protocol + record(recordAEAD, 0, 30) + cookie + end,
		"has no common algorithm":    protocol + record(recordAEAD) + cookie + end,
		"sent no cookie":             protocol + aead + end,
		"code 0001":                  record(critical|recordError, 0, 1) + end,
		"the key exchange with code": protocol + aead + record(recordWarning) + cookie + end,
		"cookie of 0 bytes":          protocol + aead + record(recordCookie) + end,
		"cookie of 300 bytes":        protocol + aead + record(recordCookie, make([]byte, 300)...) + end,
		`invalid time server "a/b"`:  protocol + aead + cookie + record(recordServer, []byte("a/b")...) + end,
		`invalid time server ""`:     protocol + aead + cookie + record(recordServer) + end,
		"invalid port":               protocol + aead + cookie + record(recordPort, 1) + end,
		"unknown record 77":          protocol + aead + cookie + record(critical|77) + end,
		"record 4 occurs twice":      protocol + aead + aead + cookie + end,
	} {
		if a, err := readAnswer(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v", want, a, err)
		}
	}
}

// endless sends records without an end.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return copy(b, strings.Repeat(record(77), 64)), nil }

func TestReadAnswerIsBounded(t *testing.T) {
	text := protocol + aead
	for range 300 {
		text += record(recordCookie, make([]byte, 100)...)
	}
	if _, err := readAnswer(strings.NewReader(text + end)); !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if _, err := readAnswer(endless{}); err == nil {
		t.Error("accepted an answer without end")
	}
}

func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte(protocol + aead + cookie + record(recordServer, []byte("a")...) + record(recordPort, 0, 1) + end))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := readAnswer(bytes.NewReader(b))
		if err == nil && (len(a.cookies) == 0 || len(a.cookies) > maxCookies || a.server != "" && !isHost(a.server)) {
			t.Fatalf("%+v", a)
		}
	})
}
