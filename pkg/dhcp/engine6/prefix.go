package engine6

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"lkt/dhcp/config6"
	"lkt/dhcp/packet6"
)

const (
	// maxDuplicates is IDGEN_RETRIES of RFC 7217: how many other addresses are tried when one is in
	// use.
	maxDuplicates = 3
	// duplicateWait is the time after which addresses of a prefix are tried again.
	duplicateWait = time.Hour
)

// prefix is a prefix of the link. Times in the past mean that it does not have the property.
type prefix struct {
	prefix           netip.Prefix
	onLink           time.Duration
	valid, preferred time.Duration // of the address made from it
	duplicates       int           // addresses that were in use by others
	blocked          time.Duration // until then, no address is made
}

// next returns when the prefix changes by itself.
func (p *prefix) next() time.Duration {
	next := never
	for _, t := range []time.Duration{p.onLink, p.valid, p.blocked} {
		if t > 0 {
			next = min(next, t)
		}
	}
	return next
}

// updatePrefix handles a prefix of an advertisement (RFC 4861 6.3.4, RFC 4862 5.5.3).
func (e *Engine) updatePrefix(info packet6.PrefixInfo, now time.Duration) {
	if !config6.IsLinkPrefix(info.Prefix) || info.Preferred > info.Valid || !info.OnLink && !info.Autonomous {
		return
	}
	at := slices.IndexFunc(e.prefixes, func(p prefix) bool { return p.prefix == info.Prefix })
	if at < 0 {
		if info.Valid == 0 || len(e.prefixes) >= maxPrefixes {
			return
		}
		at = len(e.prefixes)
		e.prefixes = append(e.prefixes, prefix{prefix: info.Prefix})
	}
	p := &e.prefixes[at]
	if info.OnLink {
		p.onLink = addTime(now, info.Valid)
	}
	if !info.Autonomous || info.Prefix.Bits() != 64 {
		return
	}
	left := max(p.valid-now, 0)
	switch {
	case left == 0 && info.Valid == 0:
		return
	case left == 0 || info.Valid > twoHours || info.Valid > left:
		p.valid = addTime(now, info.Valid)
	case left > twoHours:
		p.valid = now + twoHours
	}
	p.preferred = min(addTime(now, info.Preferred), p.valid)
}

func (e *Engine) expirePrefixes(now time.Duration) (changed bool) {
	for at := range e.prefixes {
		p := &e.prefixes[at]
		for _, t := range []*time.Duration{&p.onLink, &p.valid} {
			if *t > 0 && now >= *t {
				*t, changed = 0, true
			}
		}
		if p.blocked > 0 && now >= p.blocked {
			p.blocked, p.duplicates, changed = 0, 0, true
		}
	}
	e.prefixes = slices.DeleteFunc(e.prefixes, func(p prefix) bool { return p.onLink == 0 && p.valid == 0 })
	return changed
}

// address returns the address made from the prefix (RFC 7217). It is always the same on this
// network, and another one on each other, so that it does not identify the machine.
func (p *prefix) address(c Config) (netip.Prefix, bool) {
	if p.valid == 0 || p.blocked > 0 {
		return netip.Prefix{}, false
	}
	network := p.prefix.Addr().As16()
	for counter := byte(0); ; counter++ {
		hash := sha256.New()
		hash.Write(c.Secret)
		hash.Write(network[:8])
		hash.Write([]byte(c.Link))
		hash.Write([]byte{byte(p.duplicates), counter})
		identifier := [8]byte(hash.Sum(nil))
		if !isReserved(identifier) {
			copy(network[8:], identifier[:])
			return netip.PrefixFrom(netip.AddrFrom16(network), 64), true
		}
	}
}

// isReserved reports whether an interface identifier is reserved (RFC 5453).
func isReserved(identifier [8]byte) bool {
	n := binary.BigEndian.Uint64(identifier[:])
	return n == 0 || n>>8 == 0x02005efffe0000 || n == 0x02005efffe000000+0x5213 || n>>7 == 0xfdffffffffffff80>>7
}

// Duplicate handles the kernel's report that another station has the address.
func (e *Engine) Duplicate(address netip.Addr, now time.Duration) []Action {
	for at := range e.prefixes {
		p := &e.prefixes[at]
		if own, ok := p.address(e.config); !ok || own.Addr() != address {
			continue
		}
		if p.duplicates++; p.duplicates > maxDuplicates {
			p.blocked = now + duplicateWait
		}
		e.changed = true
	}
	actions := e.declineDHCP(address, now)
	return append(actions, e.apply(now)...)
}
