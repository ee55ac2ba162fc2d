package authority

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"strings"
	"time"
)

// restrictions are the options of a line of authorized_keys (sshd(8)).
type restrictions struct {
	authority    bool
	principals   []string
	from         []string
	command      string
	noTerminal   bool
	noForwarding bool
	destinations []string
	verify       bool
	until        time.Time
}

// parseOptions parses the options of a line. An option that sshd(8) has to restrict a login, and
// this program does not know, is an error: the line then permits nothing.
func parseOptions(options []string) (restrictions, error) {
	var r restrictions
	seen := map[string]bool{}
	for _, option := range options {
		name, value, hasValue := strings.Cut(option, "=")
		if hasValue {
			unquoted, err := unquote(value)
			if err != nil {
				return r, fmt.Errorf("option %s: %w", name, err)
			}
			value = unquoted
		}
		name = strings.ToLower(name)
		// Of two restrictions, the second would replace the first.
		if hasValue && name != "permitopen" && seen[name] {
			return r, fmt.Errorf("option %s: twice", name)
		}
		seen[name] = true
		if err := r.add(name, value, hasValue); err != nil {
			return r, fmt.Errorf("option %s: %w", name, err)
		}
	}
	return r, nil
}

func (r *restrictions) add(name, value string, hasValue bool) error {
	takesValue := map[string]bool{"from": true, "command": true, "principals": true, "permitopen": true, "expiry-time": true}
	if takesValue[name] != hasValue {
		return errors.New("a value is missing or not expected")
	}
	switch name {
	case "cert-authority":
		r.authority = true
	case "restrict":
		r.noTerminal, r.noForwarding = true, true
	case "pty":
		r.noTerminal = false
	case "no-pty":
		r.noTerminal = true
	case "port-forwarding":
		r.noForwarding = false
	case "no-port-forwarding":
		r.noForwarding = true
	case "verify-required":
		r.verify = true
	case "agent-forwarding", "no-agent-forwarding", "x11-forwarding", "no-x11-forwarding", "user-rc", "no-user-rc", "no-touch-required":
		// The server has none of these, and always requires a touch.
	case "from":
		r.from = strings.Split(value, ",")
	case "command":
		if value == "" {
			return errNoCommand
		}
		r.command = value
	case "principals":
		r.principals = strings.Split(value, ",")
	case "permitopen":
		r.destinations = append(r.destinations, value)
	case "expiry-time":
		until, err := parseTime(value)
		r.until = until
		return err
	default:
		return errors.New("unknown")
	}
	return nil
}

// errNoCommand means that a login may only run the empty command, which no field here expresses.
var errNoCommand = errors.New("the command is empty")

func unquote(value string) (string, error) {
	inner, ok := strings.CutPrefix(value, `"`)
	if ok {
		inner, ok = strings.CutSuffix(inner, `"`)
	}
	if !ok {
		return "", errors.New("the value is not in quotation marks")
	}
	return strings.ReplaceAll(inner, `\"`, `"`), nil
}

// parseTime parses YYYYMMDD[HHMM[SS]][Z]. The time is UTC, as the machine's is.
func parseTime(value string) (time.Time, error) {
	digits := strings.TrimSuffix(value, "Z")
	for _, layout := range []string{"20060102", "200601021504", "20060102150405"} {
		if len(digits) == len(layout) {
			return time.Parse(layout, digits)
		}
	}
	return time.Time{}, errors.New("not a time")
}

// matchesAddress reports whether a pattern list (ssh_config(5)) of addresses and networks matches.
// Names of hosts never match: no name is looked up. The zone of a link-local address does not
// count.
func matchesAddress(patterns []string, addr netip.Addr) bool {
	addr = addr.WithZone("")
	matched := false
	for _, pattern := range patterns {
		pattern, negated := strings.CutPrefix(pattern, "!")
		matches := false
		if network, err := netip.ParsePrefix(pattern); err == nil {
			matches = network.Contains(addr)
		} else if !strings.ContainsAny(pattern, `[\`) {
			matches, _ = path.Match(pattern, addr.String())
		}
		if matches && negated {
			return false
		}
		matched = matched || matches
	}
	return matched
}
