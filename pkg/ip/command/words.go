package command

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// words are the arguments of a command that have not been read yet.
type words struct {
	left []string
}

func (w *words) next() (string, bool) {
	if len(w.left) == 0 {
		return "", false
	}
	word := w.left[0]
	w.left = w.left[1:]
	return word, true
}

// value is what follows a word that has to have one.
func (w *words) value(of string) (string, error) {
	word, there := w.next()
	if !there {
		return "", fmt.Errorf("%q needs a value", of)
	}
	return word, nil
}

func (w *words) number(of string, most uint64) (uint64, error) {
	text, err := w.value(of)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(text, 0, 64)
	if err != nil || n > most {
		return 0, fmt.Errorf("%s %q is no number from 0 to %d", of, text, most)
	}
	return n, nil
}

// onOff is 1 or 0.
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
	return false, fmt.Errorf("%s %q is neither on nor off", of, text)
}

func (w *words) address(of string) (netip.Addr, error) {
	text, err := w.value(of)
	if err != nil {
		return netip.Addr{}, err
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%s %q is no address", of, text)
	}
	return a, nil
}

// parsePrefix reads an address with the length of its prefix, or an address alone, which has all of it.
func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is no address, as 192.0.2.1/24 is one", text)
	}
	return p, nil
}

// choose is the one of several names that word begins; iproute2 lets one write as little of it. The first that fits is meant.
func choose(word string, names ...string) (string, bool) {
	for _, name := range names {
		if word != "" && strings.HasPrefix(name, word) {
			return name, true
		}
	}
	return "", false
}

// linkName says whether the kernel can have an interface of that name.
func linkName(name string) error {
	if name == "" || len(name) > 15 || name == "." || name == ".." || strings.ContainsAny(name, "/: \t\n%\x00") {
		return fmt.Errorf("%q cannot be the name of an interface", name)
	}
	return nil
}
