package nts

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"lkt/ntp/packet"
)

const token packet.Timestamp = 0x0123456789abcdef

func session(t *testing.T, cookies int) *Session {
	t.Helper()
	s, err := newSession(bytes.Repeat([]byte{1}, keySize), bytes.Repeat([]byte{2}, keySize), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range cookies {
		s.cookies = append(s.cookies, bytes.Repeat([]byte{byte(i)}, 100))
	}
	return s
}

type field struct {
	kind uint16
	body []byte
}

// fields returns the extension fields of a packet.
func fields(b []byte) (all []field) {
	for b = b[packet.Size:]; len(b) > 0; {
		size := binary.BigEndian.Uint16(b[2:])
		all = append(all, field{binary.BigEndian.Uint16(b), b[headerSize:size]})
		b = b[size:]
	}
	return all
}

// reply returns a server's authentic answer with cookies.
func reply(s *Session, unique []byte, cookies ...[]byte) []byte {
	b := make([]byte, packet.Size)
	b[0], b[1] = 4<<3|4, 1
	b = appendField(b, fieldUnique, unique)
	var inside []byte
	for _, c := range cookies {
		inside = appendField(inside, fieldCookie, c)
	}
	nonce := bytes.Repeat([]byte{9}, nonceSize)
	sealed := s.toClient.seal(inside, b, nonce)
	body := binary.BigEndian.AppendUint16(nil, nonceSize)
	body = binary.BigEndian.AppendUint16(body, uint16(len(sealed)))
	return appendField(b, fieldAuthenticator, append(append(body, nonce...), sealed...))
}

func TestRequestUsesEachCookieOnce(t *testing.T) {
	s := session(t, 3)
	for i := range 3 {
		r, err := s.Request(packet.Request(token))
		if err != nil {
			t.Fatal(err)
		}
		all := fields(r.Packet)
		if len(r.Packet) > 1500 || all[0].kind != fieldUnique || !bytes.Equal(all[0].body, r.unique) || len(r.unique) != uniqueSize {
			t.Errorf("%x", r.Packet)
		}
		if all[1].kind != fieldCookie || all[1].body[0] != byte(i) {
			t.Errorf("cookie %x", all[1])
		}
		// It asks for as many as it lacks, besides the one for the cookie that it used.
		placeholders := 0
		for _, f := range all {
			if f.kind == fieldPlaceholder {
				placeholders++
			}
		}
		if placeholders != 5+i {
			t.Errorf("%d placeholders", placeholders)
		}
		// The server verifies all before the authenticator.
		last := all[len(all)-1]
		before := r.Packet[:len(r.Packet)-len(last.body)-headerSize]
		if last.kind != fieldAuthenticator || binary.BigEndian.Uint16(last.body) != nonceSize {
			t.Fatalf("%x", last)
		}
		if plain, err := s.toServer.open(last.body[headerSize+nonceSize:], before, last.body[headerSize:][:nonceSize]); err != nil || len(plain) != 0 {
			t.Errorf("%x, %v", plain, err)
		}
	}
	if _, err := s.Request(packet.Request(token)); err == nil || !s.IsSpent() {
		t.Error("a request without a cookie")
	}
}

func TestOpenTakesCookiesOfTheAuthenticAnswer(t *testing.T) {
	s := session(t, 1)
	r, err := s.Request(packet.Request(token))
	if err != nil {
		t.Fatal(err)
	}
	new := bytes.Repeat([]byte{7}, 100)
	// Fields after the authenticator are ignored.
	answer := appendField(reply(s, r.unique, new, new, make([]byte, 2*maxCookie)), fieldCookie, new)
	if err := r.Open(answer); err != nil || len(s.cookies) != 2 || !bytes.Equal(s.cookies[0], new) {
		t.Errorf("%v, %x", err, s.cookies)
	}
	for range 10 {
		if err := r.Open(answer); err != nil || len(s.cookies) > maxCookies {
			t.Fatalf("%v, %d cookies", err, len(s.cookies))
		}
	}
	s.End()
	if !s.IsSpent() {
		t.Error("still has cookies")
	}
}

func TestOpenRejectsWhatAnyoneMaySend(t *testing.T) {
	s := session(t, 1)
	r, err := s.Request(packet.Request(token))
	if err != nil {
		t.Fatal(err)
	}
	answer := reply(s, r.unique, bytes.Repeat([]byte{7}, 100))
	// Only the padding of a field is not authenticated, and this answer has none.
	for i := range answer {
		forged := bytes.Clone(answer)
		forged[i] ^= 0x10
		if err := r.Open(forged); !errors.Is(err, packet.ErrOther) {
			t.Errorf("byte %d: %v", i, err)
		}
		if err := r.Open(answer[:i]); !errors.Is(err, packet.ErrOther) {
			t.Errorf("%d bytes: %v", i, err)
		}
	}
	deny := answer[:packet.Size:packet.Size]
	deny = bytes.Clone(deny)
	deny[1] = 0
	copy(deny[12:], "DENY")
	if err := r.Open(appendField(deny, fieldUnique, r.unique)); !errors.Is(err, packet.ErrOther) {
		t.Errorf("DENY: %v", err)
	}
	copy(deny[12:], "NTSN")
	if err := r.Open(appendField(deny, fieldUnique, r.unique)); !errors.Is(err, ErrNak) {
		t.Errorf("NAK: %v", err)
	}
	if err := r.Open(appendField(deny, fieldUnique, make([]byte, uniqueSize))); !errors.Is(err, packet.ErrOther) {
		t.Errorf("NAK to another request: %v", err)
	}
	if len(s.cookies) != 0 {
		t.Error("took cookies")
	}
}

func FuzzOpen(f *testing.F) {
	s, err := newSession(make([]byte, keySize), make([]byte, keySize), nil)
	if err != nil {
		f.Fatal(err)
	}
	unique := make([]byte, uniqueSize)
	f.Add(reply(s, unique, make([]byte, 100)), true)
	f.Fuzz(func(t *testing.T, b []byte, isSealed bool) {
		s.cookies = nil
		r := Request{unique: unique, session: s}
		if isSealed && len(b) > 2*packet.Size { // the plaintext of an authentic answer
			before := appendField(make([]byte, packet.Size), fieldUnique, unique)
			sealed := s.toClient.seal(b, before, unique[:nonceSize])
			body := append([]byte{0, nonceSize, byte(len(sealed) >> 8), byte(len(sealed))}, unique[:nonceSize]...)
			b = appendField(before, fieldAuthenticator, append(body, sealed...))
		}
		_ = r.Open(b)
		for _, c := range s.cookies {
			if len(c) == 0 || len(c) > maxCookie || len(s.cookies) > maxCookies {
				t.Fatalf("%x", s.cookies)
			}
		}
	})
}
