package agree

import (
	"testing"
	"time"
)

const ms = time.Millisecond

func TestOn(t *testing.T) {
	for name, c := range map[string]struct {
		clocks  []Clock
		servers int
		offset  time.Duration
		agree   int
	}{
		"one of one":            {[]Clock{{5 * ms, ms}}, 1, 5 * ms, 1},
		"one of three":          {[]Clock{{5 * ms, ms}}, 3, 0, -1},
		"two of three":          {[]Clock{{5 * ms, 2 * ms}, {6 * ms, 2 * ms}}, 3, 5500 * time.Microsecond, 2},
		"two that disagree":     {[]Clock{{5 * ms, ms}, {50 * ms, ms}}, 2, 0, -1},
		"one wrong of three":    {[]Clock{{5 * ms, ms}, {time.Hour, ms}, {5 * ms, ms}}, 3, 5 * ms, 2},
		"wrong and certain":     {[]Clock{{5 * ms, 9 * ms}, {time.Hour, 1}, {5 * ms, 9 * ms}}, 3, 5 * ms, 2},
		"two wrong of three":    {[]Clock{{5 * ms, ms}, {time.Hour, ms}, {time.Hour, ms}}, 3, time.Hour, 2},
		"three that disagree":   {[]Clock{{5 * ms, ms}, {time.Hour, ms}, {-time.Hour, ms}}, 3, 0, -1},
		"two wrong of five":     {[]Clock{{0, ms}, {time.Hour, ms}, {0, 2 * ms}, {-time.Hour, ms}, {0, ms}}, 5, 0, 3},
		"weighted by certainty": {[]Clock{{0, 10 * ms}, {9 * ms, 20 * ms}}, 2, 3 * ms, 2},
		"offset since 1970":     {[]Clock{{56 * 365 * 24 * time.Hour, ms}, {56*365*24*time.Hour + ms/2, ms}}, 2, 56*365*24*time.Hour + ms/4, 2},
		"two of four":           {[]Clock{{5 * ms, ms}, {5 * ms, ms}}, 4, 0, -1},
		"one overlaps only":     {[]Clock{{0, 5 * ms}, {0, 5 * ms}, {8 * ms, 5 * ms}}, 3, 0, 2},
		"no answer":             {nil, 3, 0, -1},
	} {
		offset, agree, err := On(c.clocks, c.servers)
		if c.agree < 0 {
			if err == nil {
				t.Errorf("%s: %v of %d", name, offset, agree)
			}
			continue
		}
		if err != nil || agree != c.agree || (offset-c.offset).Abs() > time.Microsecond {
			t.Errorf("%s: %v of %d, %v", name, offset, agree, err)
		}
	}
}

func FuzzOn(f *testing.F) {
	f.Add(int64(0), int64(1), int64(5), int64(2), int64(9), int64(3))
	f.Fuzz(func(t *testing.T, o1, d1, o2, d2, o3, d3 int64) {
		var clocks []Clock
		for _, c := range [][2]int64{{o1, d1}, {o2, d2}, {o3, d3}} {
			const years = int64(200 * 365 * 24 * time.Hour)
			clocks = append(clocks, Clock{time.Duration(c[0] % years), time.Duration(max(c[1]%int64(time.Hour), -c[1]%int64(time.Hour)))})
		}
		offset, agree, err := On(clocks, 3)
		if err != nil {
			return
		}
		if agree < 2 {
			t.Fatalf("%d agree", agree)
		}
		// The result is between the offsets of the servers.
		low, high := clocks[0].Offset, clocks[0].Offset
		for _, c := range clocks {
			low, high = min(low, c.Offset), max(high, c.Offset)
		}
		if offset < low-time.Millisecond || offset > high+time.Millisecond {
			t.Fatalf("%v is not between %v and %v", offset, low, high)
		}
	})
}
