package logd

import (
	"strings"
	"testing"
	"time"

	"lkt/init/logs"
)

// A container chooses every byte of its output, and a client of memlogd its name.
func FuzzSource(f *testing.F) {
	f.Add("first\nsecond\r\n\nno end", 3, "name")
	f.Add(strings.Repeat("x", 9000)+"\n", 4096, "../../etc\x00")
	f.Fuzz(func(t *testing.T, output string, size int, name string) {
		if clean := logs.SanitizeName(name); clean != "" && !logs.IsName(clean) {
			t.Errorf("name %q", clean)
		}
		var lines []logs.Entry
		s := source{
			name: "a", record: func(e logs.Entry) { lines = append(lines, e) }, count: func(func(*logs.Status)) {},
			limit: newRateLimit(1<<30, 1<<20), reported: time.Now(),
		}
		size = max(size, 1)
		for rest := output; rest != ""; {
			chunk := rest[:min(size, len(rest))]
			rest = rest[len(chunk):]
			s.take([]byte(chunk))
		}
		s.flush()
		for _, e := range lines {
			if len(e.Text) > logs.MaxLineLength || strings.Contains(e.Text, "\n") {
				t.Errorf("a line of %d bytes", len(e.Text))
			}
		}
		if want := strings.Count(output, "\n") + 1; len(lines) > want {
			t.Errorf("%d lines of %d", len(lines), want)
		}
	})
}
