package packet6

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"time"
)

// Type is a DHCPv6 message type.
type Type byte

// The message types of RFC 8415 section 7.3 that a client uses.
const (
	Solicit     Type = 1
	Advertise   Type = 2
	Request     Type = 3
	Confirm     Type = 4
	Renew       Type = 5
	Rebind      Type = 6
	Reply       Type = 7
	Release     Type = 8
	Decline     Type = 9
	Information Type = 11
)

// Option codes (RFC 8415 section 21, RFC 3646).
const (
	optionClientID    = 1
	optionServerID    = 2
	optionIANA        = 3
	optionIAAddr      = 5
	optionRequest     = 6
	optionPreference  = 7
	optionElapsed     = 8
	optionStatus      = 13
	optionDNS         = 23
	optionSearch      = 24
	optionRefresh     = 32
	optionMaxSolicit  = 82
	optionMaxInfo     = 83
	maxOptionsDHCP    = 128
	maxIdentifierSize = 130
)

// Status is a status code (RFC 8415 section 21.13).
type Status uint16

// Status codes.
const (
	Success      Status = 0
	NoAddrsAvail Status = 2
	NoBinding    Status = 3
	NotOnLink    Status = 4
)

// Message is a DHCPv6 message. Options of others are left out.
type Message struct {
	Type       Type
	XID        uint32 // 24 bits
	ClientID   []byte
	ServerID   []byte
	Status     Status
	Preference byte
	Elapsed    time.Duration // from a client
	// Association is the association of addresses (IA_NA), if there is one.
	Association *Association
	Servers     []netip.Addr
	Names       []string
	// Refresh is the time until the next information request; 0: not given.
	Refresh    time.Duration
	MaxSolicit time.Duration
	MaxInfo    time.Duration
}

// Association is an association of non-temporary addresses.
type Association struct {
	ID        uint32
	T1, T2    time.Duration
	Status    Status
	Addresses []Address
}

// Address is an address of an association, with its lifetimes.
type Address struct {
	Address          netip.Addr
	Preferred, Valid time.Duration
}

// ParseDHCP parses a server's message. It returns the association with the given ID only.
func ParseDHCP(b []byte, association uint32) (*Message, error) {
	if len(b) < 4 {
		return nil, errors.New("short message")
	}
	m := &Message{Type: Type(b[0]), XID: binary.BigEndian.Uint32(b) & 0xffffff}
	if m.Type != Advertise && m.Type != Reply {
		return nil, errors.New("not a message of a server")
	}
	err := eachOption(b[4:], func(code uint16, v []byte) error { return m.readOption(code, v, association) })
	if err != nil {
		return nil, err
	}
	if len(m.ServerID) == 0 || len(m.ClientID) == 0 {
		return nil, errors.New("no identifiers")
	}
	return m, nil
}

func eachOption(b []byte, do func(code uint16, value []byte) error) error {
	for count := 0; len(b) > 0; count++ {
		if len(b) < 4 || count == maxOptionsDHCP {
			return errors.New("invalid options")
		}
		size := int(binary.BigEndian.Uint16(b[2:]))
		if len(b) < 4+size {
			return errors.New("truncated option")
		}
		if err := do(binary.BigEndian.Uint16(b), b[4:4+size]); err != nil {
			return err
		}
		b = b[4+size:]
	}
	return nil
}

func (m *Message) readOption(code uint16, v []byte, association uint32) error {
	switch code {
	case optionClientID, optionServerID:
		identifier := &m.ClientID
		if code == optionServerID {
			identifier = &m.ServerID
		}
		if len(v) < 3 || len(v) > maxIdentifierSize || *identifier != nil {
			return errors.New("invalid identifier")
		}
		*identifier = bytes.Clone(v)
	case optionPreference:
		if len(v) != 1 {
			return errors.New("invalid preference")
		}
		m.Preference = v[0]
	case optionStatus:
		if len(v) < 2 {
			return errors.New("invalid status")
		}
		m.Status = Status(binary.BigEndian.Uint16(v))
	case optionIANA:
		if len(v) < 12 {
			return errors.New("invalid association")
		}
		if binary.BigEndian.Uint32(v) != association {
			return nil
		}
		if m.Association != nil {
			return errors.New("two associations")
		}
		m.Association = &Association{ID: association, T1: lifetime(v[4:]), T2: lifetime(v[8:])}
		return eachOption(v[12:], m.Association.readOption)
	case optionDNS:
		if len(v)%16 != 0 {
			return nil
		}
		for ; len(v) > 0; v = v[16:] {
			m.Servers = append(m.Servers, netip.AddrFrom16([16]byte(v[:16])))
		}
	case optionSearch:
		if names, err := Names(v); err == nil {
			m.Names = names
		}
	case optionRefresh, optionMaxSolicit, optionMaxInfo:
		if len(v) != 4 {
			return nil
		}
		switch code {
		case optionRefresh:
			m.Refresh = lifetime(v)
		case optionMaxSolicit:
			m.MaxSolicit = lifetime(v)
		case optionMaxInfo:
			m.MaxInfo = lifetime(v)
		}
	}
	return nil
}

func (a *Association) readOption(code uint16, v []byte) error {
	switch code {
	case optionIAAddr:
		if len(v) < 24 {
			return errors.New("invalid address option")
		}
		found := Address{netip.AddrFrom16([16]byte(v[:16])), lifetime(v[16:]), lifetime(v[20:])}
		err := eachOption(v[24:], func(code uint16, v []byte) error {
			if code == optionStatus && (len(v) < 2 || binary.BigEndian.Uint16(v) != 0) {
				found.Valid = 0
			}
			return nil
		})
		a.Addresses = append(a.Addresses, found)
		return err
	case optionStatus:
		if len(v) < 2 {
			return errors.New("invalid status")
		}
		a.Status = Status(binary.BigEndian.Uint16(v))
	}
	return nil
}

// Marshal returns the wire form of a client's message.
func (m *Message) Marshal() []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(m.Type)<<24|m.XID&0xffffff)
	b = option(b, optionClientID, m.ClientID)
	if m.ServerID != nil {
		b = option(b, optionServerID, m.ServerID)
	}
	hundredths := uint16(min(m.Elapsed/(10*time.Millisecond), 0xffff))
	b = option(b, optionElapsed, binary.BigEndian.AppendUint16(nil, hundredths))
	if a := m.Association; a != nil {
		v := binary.BigEndian.AppendUint32(nil, a.ID)
		v = append(v, make([]byte, 8)...) // T1, T2: the server chooses
		for _, address := range a.Addresses {
			sixteen := address.Address.As16()
			v = option(v, optionIAAddr, append(sixteen[:], make([]byte, 8)...))
		}
		b = option(b, optionIANA, v)
	}
	switch m.Type {
	case Solicit, Request, Renew, Rebind, Information:
		var codes []byte
		for _, code := range []uint16{optionDNS, optionSearch, optionMaxSolicit, optionRefresh, optionMaxInfo} {
			if m.Type == Information || code != optionRefresh && code != optionMaxInfo {
				codes = binary.BigEndian.AppendUint16(codes, code)
			}
		}
		b = option(b, optionRequest, codes)
	}
	return b
}

func option(b []byte, code uint16, value []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, code)
	b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
	return append(b, value...)
}
