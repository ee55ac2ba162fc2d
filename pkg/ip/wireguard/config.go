// Package wireguard parses config files of wg(8) and wg-quick(8), and configures and reads
// WireGuard interfaces.
package wireguard

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Key is a private, public or preshared key.
type Key [32]byte

// ParseKey parses a key in the base64 form of wg(8).
func ParseKey(text string) (k Key, err error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != len(k) {
		// The error omits the text, which may be secret.
		return k, errors.New("invalid key: must be 44 characters that end with =")
	}
	return Key(raw), nil
}

func (k Key) String() string { return base64.StdEncoding.EncodeToString(k[:]) }

// Device is the configuration or the state of an interface.
type Device struct {
	PrivateKey *Key
	PublicKey  Key // only set by Get
	ListenPort *uint16
	Mark       *uint32
	Peers      []Peer
	// From a wg-quick file, otherwise empty.
	Quick Quick
}

// Peer is a peer of a device.
type Peer struct {
	PublicKey    Key
	PresharedKey *Key
	// Endpoint is HOST:PORT, or empty.
	Endpoint   string
	Keepalive  *uint16
	AllowedIPs []netip.Prefix
	// ReplaceAllowed removes all other allowed IPs; Remove removes the peer.
	ReplaceAllowed, Remove bool
	// Only set by Get.
	LastHandshake      time.Time
	Received, Transmit uint64
}

// Quick has the settings that only wg-quick(8) reads.
type Quick struct {
	Addresses []netip.Prefix
	MTU       uint32
	// Table is "auto" or empty, "off", or a number.
	Table string
	Names []string // DNS
}

// ParseConfig parses a config file. With quick, it accepts the settings of wg-quick(8). Errors
// contain the line number.
func ParseConfig(text string, quick bool) (*Device, error) {
	d := &Device{}
	section, number := "", 0
	for line := range strings.Lines(text) {
		number++
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if strings.HasPrefix(line, "[") {
			section = strings.ToLower(line)
			switch section {
			case "[peer]":
				d.Peers = append(d.Peers, Peer{ReplaceAllowed: true})
			case "[interface]":
			default:
				return nil, fmt.Errorf("line %d: unknown section %s", number, line)
			}
			continue
		}
		name, value, found := strings.Cut(line, "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if !found || value == "" {
			return nil, fmt.Errorf("line %d: expected NAME = VALUE", number)
		}
		var err error
		switch section {
		case "[peer]":
			err = d.Peers[len(d.Peers)-1].set(name, value)
		case "[interface]":
			err = d.set(name, value, quick)
		default:
			err = errors.New("not in a section")
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", number, name, err)
		}
	}
	for i, p := range d.Peers {
		if p.PublicKey == (Key{}) {
			return nil, fmt.Errorf("peer %d has no PublicKey", i+1)
		}
	}
	return d, nil
}

func (d *Device) set(name, value string, quick bool) (err error) {
	switch name {
	case "privatekey":
		var k Key
		k, err = ParseKey(value)
		d.PrivateKey = &k
	case "listenport":
		d.ListenPort, err = parsePort(value)
	case "fwmark":
		d.Mark, err = ParseMark(value)
	default:
		if !quick {
			return errors.New("unknown setting")
		}
		return d.Quick.set(name, value)
	}
	return err
}

func (q *Quick) set(name, value string) error {
	switch name {
	case "address":
		for text := range strings.SplitSeq(value, ",") {
			p, err := parseAllowed(text)
			if err != nil {
				return err
			}
			q.Addresses = append(q.Addresses, p)
		}
	case "mtu":
		n, err := strconv.ParseUint(value, 10, 16)
		if err != nil {
			return fmt.Errorf("invalid MTU %q", value)
		}
		q.MTU = uint32(n)
	case "table":
		if _, err := strconv.ParseUint(value, 0, 32); err != nil && value != "off" && value != "auto" {
			return fmt.Errorf("invalid table %q", value)
		}
		q.Table = value
	case "dns":
		for text := range strings.SplitSeq(value, ",") {
			q.Names = append(q.Names, strings.TrimSpace(text))
		}
	case "saveconfig":
		if value != "false" {
			return errors.New("not supported")
		}
	case "preup", "postup", "predown", "postdown":
		return errors.New("not supported: the image has no shell\n  fix: use a separate onboot container")
	default:
		return errors.New("unknown setting")
	}
	return nil
}

func (p *Peer) set(name, value string) (err error) {
	switch name {
	case "publickey":
		p.PublicKey, err = ParseKey(value)
	case "presharedkey":
		var k Key
		k, err = ParseKey(value)
		p.PresharedKey = &k
	case "endpoint":
		p.Endpoint, err = ParseEndpoint(value)
	case "persistentkeepalive":
		p.Keepalive, err = ParseKeepalive(value)
	case "allowedips":
		var more []netip.Prefix
		more, err = ParseAllowed(value)
		p.AllowedIPs = append(p.AllowedIPs, more...)
	default:
		err = errors.New("unknown setting")
	}
	return err
}
