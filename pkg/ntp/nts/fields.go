package nts

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"

	"lkt/ntp/packet"
)

// Extension fields: RFC 8915 section 5.
const (
	fieldUnique        = 0x0104
	fieldCookie        = 0x0204
	fieldPlaceholder   = 0x0304
	fieldAuthenticator = 0x0404

	uniqueSize = 32
	nonceSize  = 16
	// minField is the minimum size of a field, without its header.
	minField = 12
	// maxRequest is the size up to which a request asks for more cookies: the answer is as long.
	maxRequest = 1200
)

// Session has the keys and the cookies of a time server.
type Session struct {
	toServer, toClient *siv
	cookies            [][]byte
}

// newSession has the keys that both sides derive from the TLS connection.
func newSession(toServer, toClient []byte, cookies [][]byte) (*Session, error) {
	c2s, err := newSIV(toServer)
	if err != nil {
		return nil, err
	}
	s2c, err := newSIV(toClient)
	if err != nil {
		return nil, err
	}
	return &Session{c2s, s2c, cookies}, nil
}

// IsSpent reports whether the session has no cookie for a request: it needs a new key exchange.
func (s *Session) IsSpent() bool { return len(s.cookies) == 0 }

// End makes the session spent, because the server does not know its cookies.
func (s *Session) End() { s.cookies = nil }

// Request is a request that only its server can answer.
type Request struct {
	Packet  []byte
	unique  []byte
	session *Session
}

// Request authenticates a request of package packet, and asks for new cookies. It uses one cookie,
// never a second time: an observer cannot link the requests.
func (s *Session) Request(header []byte) (Request, error) {
	if s.IsSpent() {
		return Request{}, errors.New("no cookie")
	}
	random := make([]byte, uniqueSize+nonceSize)
	if _, err := rand.Read(random); err != nil {
		return Request{}, err
	}
	unique, nonce := random[:uniqueSize], random[uniqueSize:]
	cookie := s.cookies[0]
	s.cookies = s.cookies[1:]
	b := appendField(append([]byte(nil), header...), fieldUnique, unique)
	b = appendField(b, fieldCookie, cookie)
	for range maxCookies - len(s.cookies) - 1 {
		if len(b)+len(cookie) < maxRequest {
			b = appendField(b, fieldPlaceholder, make([]byte, len(cookie)))
		}
	}
	sealed := s.toServer.seal(nil, b, nonce)
	body := binary.BigEndian.AppendUint16(nil, nonceSize)
	body = binary.BigEndian.AppendUint16(body, uint16(len(sealed)))
	return Request{appendField(b, fieldAuthenticator, append(append(body, nonce...), sealed...)), unique, s}, nil
}

// appendField appends an extension field (RFC 7822), padded to four bytes.
func appendField(b []byte, kind uint16, body []byte) []byte {
	size := max(len(body), minField)
	size = (size + 3) &^ 3
	b = binary.BigEndian.AppendUint16(b, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(headerSize+size))
	return append(append(b, body...), make([]byte, size-len(body))...)
}

// errUnsigned means that a packet may be from anyone. The true answer may follow.
var errUnsigned = packet.ErrOther

// ErrNak means that the server does not know the cookie. Anyone on the path can forge that.
var ErrNak = errors.New("the server does not know the cookie")

// Open returns nil for the authentic answer to the request, and takes its cookies. For others it
// returns [packet.ErrOther] or [ErrNak].
func (r Request) Open(b []byte) error {
	if len(b) < packet.Size {
		return errUnsigned
	}
	isKnown := false
	for at := packet.Size; len(b)-at >= headerSize; {
		kind, size := binary.BigEndian.Uint16(b[at:]), int(binary.BigEndian.Uint16(b[at+2:]))
		if size < headerSize || size%4 != 0 || size > len(b)-at {
			return errUnsigned
		}
		body := b[at+headerSize : at+size]
		switch kind {
		case fieldUnique:
			if !bytes.Equal(body, r.unique) {
				return errUnsigned
			}
			isKnown = true
		case fieldAuthenticator:
			if !isKnown {
				return errUnsigned
			}
			// Later fields are not authenticated, and ignored.
			return r.takeCookies(b[:at], body)
		}
		at += size
	}
	if isKnown && packet.IsNak(b) {
		return ErrNak
	}
	return errUnsigned
}

// takeCookies verifies an authenticator and takes the cookies that it encrypts.
func (r Request) takeCookies(before, body []byte) error {
	if len(body) < headerSize {
		return errUnsigned
	}
	nonce, sealed := int(binary.BigEndian.Uint16(body)), int(binary.BigEndian.Uint16(body[2:]))
	start := headerSize + (nonce+3)&^3
	if nonce == 0 || len(body) < start+sealed {
		return errUnsigned
	}
	plaintext, err := r.session.toClient.open(body[start:start+sealed], before, body[headerSize:headerSize+nonce])
	if err != nil {
		return errUnsigned
	}
	for at := 0; len(plaintext)-at >= headerSize; {
		kind, size := binary.BigEndian.Uint16(plaintext[at:]), int(binary.BigEndian.Uint16(plaintext[at+2:]))
		if size < headerSize || size > len(plaintext)-at {
			break
		}
		cookie := plaintext[at+headerSize : at+size]
		if kind == fieldCookie && len(cookie) > 0 && len(cookie) <= maxCookie && len(r.session.cookies) < maxCookies {
			r.session.cookies = append(r.session.cookies, cookie)
		}
		at += size
	}
	return nil
}
