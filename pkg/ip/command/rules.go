package command

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"lkt/netlink"
)

// From linux/fib_rules.h.
const (
	rtmNewRule  = 32
	rtmDelRule  = 33
	sizeofRule  = 12
	actionTable = 1
	invert      = 2
	fraTo       = 1
	fraFrom     = 2
	fraPriority = 6
	fraMark     = 10
	fraTable    = 15
)

// rule is a routing policy rule: packets that match look their route up in a table.
type rule struct {
	family   uint8
	not      bool
	from, to netip.Prefix
	mark     uint32
	priority uint32
	table    uint32
}

func (t *Tool) changeRule(kind, flags uint16) func(*words) error {
	return func(w *words) error {
		r, err := t.readRule(w)
		if err != nil {
			return err
		}
		return t.kernel.Do(kind, flags, r.body())
	}
}

func (t *Tool) readRule(w *words) (rule, error) {
	r := rule{family: t.family}
	for {
		word, ok := w.next()
		if !ok {
			break
		}
		if err := r.option(word, w); err != nil {
			return r, err
		}
	}
	if r.table == 0 {
		return r, errors.New(`"table" is missing`)
	}
	for _, p := range []netip.Prefix{r.from, r.to} {
		if !p.IsValid() {
			continue
		}
		if r.family != 0 && r.family != family(p.Addr()) {
			return r, fmt.Errorf("%v has another address family", p)
		}
		r.family = family(p.Addr())
	}
	if r.family == 0 {
		r.family = syscall.AF_INET
	}
	return r, nil
}

func (r *rule) option(word string, w *words) (err error) {
	var n uint64
	switch word {
	case "not":
		r.not = true
	case "from":
		r.from, err = w.selector(word)
	case "to":
		r.to, err = w.selector(word)
	case "fwmark":
		n, err = w.number(word, 1<<32-1)
		r.mark = uint32(n)
	case "priority", "preference", "pref", "order":
		n, err = w.number(word, 1<<32-1)
		r.priority = uint32(n)
	case "table", "lookup":
		n, err = namedNumber(word, tables, 1<<32-1, w)
		r.table = uint32(n)
	default:
		err = fmt.Errorf("unexpected argument %q", word)
	}
	return err
}

// selector parses a prefix, or "all", for which it returns an invalid prefix.
func (w *words) selector(of string) (netip.Prefix, error) {
	text, err := w.value(of)
	if err != nil || text == "all" || text == "any" || text == "default" {
		return netip.Prefix{}, err
	}
	return parsePrefix(text)
}

func (r rule) body() netlink.Body {
	b := netlink.Body(make([]byte, sizeofRule))
	b[0], b[7] = r.family, actionTable
	if r.not {
		binary.NativeEndian.PutUint32(b[8:], invert)
	}
	if r.to.IsValid() && r.to.Bits() > 0 {
		b[1] = uint8(r.to.Bits())
		b.Add(fraTo, r.to.Addr().AsSlice())
	}
	if r.from.IsValid() && r.from.Bits() > 0 {
		b[2] = uint8(r.from.Bits())
		b.Add(fraFrom, r.from.Addr().AsSlice())
	}
	if r.mark != 0 {
		b.AddUint32(fraMark, r.mark)
	}
	if r.priority != 0 {
		b.AddUint32(fraPriority, r.priority)
	}
	b.AddUint32(fraTable, r.table)
	return b
}
