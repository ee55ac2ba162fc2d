package wireguard

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ParseAllowed parses a comma-separated list of networks.
func ParseAllowed(text string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for part := range strings.SplitSeq(text, ",") {
		p, err := parseAllowed(part)
		if err != nil {
			return nil, err
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

// parseAllowed parses a network, or an address as a single-address network.
func parseAllowed(text string) (netip.Prefix, error) {
	text = strings.TrimSpace(text)
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("invalid address %q: must be like 192.0.2.1/24", text)
	}
	return p, nil
}

// ParseEndpoint validates HOST:PORT. An IPv6 address must be in brackets.
func ParseEndpoint(text string) (string, error) {
	if _, err := netip.ParseAddrPort(text); err == nil {
		return text, nil
	}
	host, port, found := strings.Cut(text, ":")
	if _, err := parsePort(port); err != nil || !found || !isHostName(host) {
		return "", fmt.Errorf("%q is not HOST:PORT", text)
	}
	return text, nil
}

func isHostName(text string) bool {
	for _, c := range []byte(text) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	return text != "" && len(text) <= 253
}

func parsePort(text string) (*uint16, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("invalid port %q", text)
	}
	port := uint16(n)
	return &port, nil
}

// ParsePort parses a port number.
func ParsePort(text string) (*uint16, error) { return parsePort(text) }

// ParseMark parses a firewall mark: a number, in hexadecimal after 0x, or off.
func ParseMark(text string) (*uint32, error) {
	if text == "off" {
		return new(uint32), nil
	}
	n, err := strconv.ParseUint(text, 0, 32)
	if err != nil {
		return nil, fmt.Errorf("invalid mark %q", text)
	}
	mark := uint32(n)
	return &mark, nil
}

// ParseKeepalive parses an interval in seconds, or off.
func ParseKeepalive(text string) (*uint16, error) {
	if text == "off" {
		return new(uint16), nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, errors.New("must be seconds below 65536, or off")
	}
	seconds := uint16(n)
	return &seconds, nil
}
