// Package agree selects the correct clocks among several: those whose intervals have a common
// point, if they are the majority. This is the intersection algorithm of RFC 5905 section 11.2.1,
// after Marzullo.
package agree

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Clock is the clock of a server: its time is that of this machine plus Offset, with an error of at
// most Distance.
type Clock struct {
	Offset, Distance time.Duration
}

// edge is the lower end (-1), the middle (0) or the upper end (1) of an interval.
type edge struct {
	at   time.Duration
	kind int
}

// On returns the offset on which more than half of the servers agree, weighted by their certainty,
// and how many agree. A server without an answer agrees with none.
func On(clocks []Clock, servers int) (offset time.Duration, agree int, err error) {
	low, high, found := intersection(clocks)
	if found {
		var sum, weights float64
		// Add differences: the offset itself may be decades on a machine without a clock.
		base := clocks[0].Offset
		for _, c := range clocks {
			if c.Offset < low || c.Offset > high {
				continue
			}
			agree++
			weight := 1 / float64(max(c.Distance, time.Nanosecond))
			sum += weight * float64(c.Offset-base)
			weights += weight
		}
		if agree > 0 {
			offset = base + time.Duration(sum/weights)
		}
	}
	if 2*agree <= servers {
		return 0, agree, fmt.Errorf("%d of %d servers answer, %d agree", len(clocks), servers, agree)
	}
	return offset, agree, nil
}

// intersection returns the smallest interval that contains points of all clocks except a minority
// of wrong ones.
func intersection(clocks []Clock) (low, high time.Duration, found bool) {
	var edges []edge
	for _, c := range clocks {
		edges = append(edges, edge{c.Offset - c.Distance, -1}, edge{c.Offset, 0}, edge{c.Offset + c.Distance, 1})
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.kind, b.kind)) })
	for wrong := 0; 2*wrong < len(clocks); wrong++ {
		outside := 0
		scan := func(sign int, order []edge) (time.Duration, bool) {
			inside := 0
			for _, e := range order {
				inside -= sign * e.kind
				if inside >= len(clocks)-wrong {
					return e.at, true
				}
				if e.kind == 0 {
					outside++
				}
			}
			return 0, false
		}
		lowest, begins := scan(1, edges)
		back := slices.Clone(edges)
		slices.Reverse(back)
		highest, ends := scan(-1, back)
		if begins && ends && outside <= wrong && lowest <= highest {
			return lowest, highest, true
		}
	}
	return 0, 0, false
}
