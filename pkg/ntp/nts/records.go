package nts

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Records of the key exchange: RFC 8915 section 4.1.
const (
	recordEnd      = 0
	recordProtocol = 1
	recordError    = 2
	recordWarning  = 3
	recordAEAD     = 4
	recordCookie   = 5
	recordServer   = 6
	recordPort     = 7

	critical = 1 << 15

	protocolNTP = 0
	aeadSIV     = 15 // AEAD_AES_SIV_CMAC_256
)

const (
	// maxAnswer limits the answer of a key exchange.
	maxAnswer = 16 << 10
	// maxCookies is the number of cookies that a client stores: RFC 8915 section 6.
	maxCookies = 8
	// maxCookie limits the size of a cookie, so that requests fit into one packet.
	maxCookie  = 256
	maxName    = 253
	headerSize = 4
)

// request returns the client's records.
func request() []byte {
	var b []byte
	for _, r := range [][]uint16{{critical | recordProtocol, 2, protocolNTP}, {critical | recordAEAD, 2, aeadSIV}, {critical | recordEnd, 0}} {
		for _, number := range r {
			b = binary.BigEndian.AppendUint16(b, number)
		}
	}
	return b
}

// answer is a server's answer to a key exchange.
type answer struct {
	cookies [][]byte
	// server and port are those of the time server. Empty and 0 mean the server of the key
	// exchange, and NTP's port.
	server string
	port   uint16
}

// readAnswer reads the records of a server, and rejects those that do not answer the request.
func readAnswer(r io.Reader) (a answer, err error) {
	r = io.LimitReader(r, maxAnswer)
	for seen := map[uint16]bool{}; ; {
		var header [headerSize]byte
		if _, err := io.ReadFull(r, header[:]); err != nil {
			return a, fmt.Errorf("key exchange: %w", err)
		}
		kind, isCritical := binary.BigEndian.Uint16(header[:])&^critical, header[0]>>7 == 1
		body := make([]byte, binary.BigEndian.Uint16(header[2:]))
		if _, err := io.ReadFull(r, body); err != nil {
			return a, fmt.Errorf("key exchange: %w", err)
		}
		if seen[kind] && kind != recordCookie {
			return a, fmt.Errorf("record %d occurs twice in the key exchange", kind)
		}
		seen[kind] = true
		if kind == recordEnd {
			break
		}
		if err := a.add(kind, isCritical, body); err != nil {
			return a, err
		}
		if seen[recordCookie] && (!seen[recordProtocol] || !seen[recordAEAD]) {
			return a, errors.New("the server offers no common protocol and algorithm")
		}
	}
	if len(a.cookies) == 0 {
		return a, errors.New("the server sent no cookie")
	}
	return a, nil
}

// add takes a record.
func (a *answer) add(kind uint16, isCritical bool, body []byte) error {
	switch kind {
	case recordProtocol:
		return isOnly(body, protocolNTP, "protocol")
	case recordAEAD:
		return isOnly(body, aeadSIV, "algorithm")
	case recordError, recordWarning:
		return fmt.Errorf("the server refuses the key exchange with code %x", body[:min(len(body), 2)])
	case recordCookie:
		if len(body) == 0 || len(body) > maxCookie {
			return fmt.Errorf("cookie of %d bytes", len(body))
		}
		if len(a.cookies) < maxCookies {
			a.cookies = append(a.cookies, body)
		}
	case recordServer:
		if a.server = string(body); !isHost(a.server) {
			return fmt.Errorf("invalid time server %q", a.server[:min(len(a.server), maxName)])
		}
	case recordPort:
		if len(body) != 2 {
			return errors.New("invalid port")
		}
		a.port = binary.BigEndian.Uint16(body)
	default:
		if isCritical {
			return fmt.Errorf("unknown record %d in the key exchange", kind)
		}
	}
	return nil
}

// isOnly returns an error unless a list has one item, the number.
func isOnly(list []byte, number uint16, what string) error {
	if len(list) != 2 || binary.BigEndian.Uint16(list) != number {
		return fmt.Errorf("the server has no common %s", what)
	}
	return nil
}

// isHost reports whether text may be a host name or an IP address.
func isHost(text string) bool {
	return text != "" && len(text) <= maxName && !strings.ContainsFunc(text, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._:", r))
	})
}
