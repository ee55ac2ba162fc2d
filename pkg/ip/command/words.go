package command

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// words are the remaining arguments of a command.
type words struct {
	rest []string
}

func (w *words) next() (string, bool) {
	if len(w.rest) == 0 {
		return "", false
	}
	word := w.rest[0]
	w.rest = w.rest[1:]
	return word, true
}

// value returns the argument after an option that requires one.
func (w *words) value(of string) (string, error) {
	word, ok := w.next()
	if !ok {
		return "", fmt.Errorf("%q needs a value", of)
	}
	return word, nil
}

func (w *words) number(of string, limit uint64) (uint64, error) {
	text, err := w.value(of)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(text, 0, 64)
	if err != nil || n > limit {
		return 0, fmt.Errorf("%s %q must be a number from 0 to %d", of, text, limit)
	}
	return n, nil
}

// onOff parses on, off, 1 or 0.
func (w *words) onOff(of string) (bool, error) {
	text, err := w.value(of)
	switch {
	case err != nil:
		return false, err
	case text == "on" || text == "1":
		return true, nil
	case text == "off" || text == "0":
		return false, nil
	}
	return false, fmt.Errorf("%s %q must be on or off", of, text)
}

func (w *words) address(of string) (netip.Addr, error) {
	text, err := w.value(of)
	if err != nil {
		return netip.Addr{}, err
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("invalid %s address %q", of, text)
	}
	return a, nil
}

// parsePrefix parses an address with an optional prefix length, which defaults to the full length.
func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("invalid address %q: must be like 192.0.2.1/24", text)
	}
	return p, nil
}

// match returns the first name that begins with word: like iproute2, commands may be abbreviated.
func match(word string, names ...string) (string, bool) {
	for _, name := range names {
		if word != "" && strings.HasPrefix(name, word) {
			return name, true
		}
	}
	return "", false
}

// checkLinkName returns an error unless name is a valid interface name.
func checkLinkName(name string) error {
	if name == "" || len(name) > 15 || name == "." || name == ".." || strings.ContainsAny(name, "/: \t\n%\x00") {
		return fmt.Errorf("invalid interface name %q", name)
	}
	return nil
}
