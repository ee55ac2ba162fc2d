package main

import (
	"fmt"
	"time"
)

const (
	// maxReports limits the subjects with a known status. Names of pools have new addresses each
	// time.
	maxReports = 128
	// burst lines may be printed at once, and then one per linePause. Servers choose when a status
	// changes.
	burst     = 32
	linePause = 10 * time.Minute
)

// reports prints changes of a status, within limits.
type reports struct {
	last  map[string]string
	print func(string)
	now   func() time.Time
	// lines may be printed now; the last time for one was at filled.
	lines  int
	filled time.Time
}

func newReports() *reports {
	return &reports{
		last: map[string]string{}, print: func(text string) { fmt.Printf("ntp: %s\n", text) },
		now: time.Now, lines: burst, filled: time.Now(),
	}
}

func (r *reports) has(about string) bool {
	_, known := r.last[about]
	return known
}

// report prints the status of a subject if it has changed.
func (r *reports) report(about, text string) {
	if r.last[about] == text {
		return
	}
	if len(r.last) >= maxReports {
		clear(r.last)
	}
	r.last[about] = text
	if more := int(r.now().Sub(r.filled) / linePause); more > 0 {
		r.lines, r.filled = min(r.lines+more, burst), r.now()
	}
	if r.lines == 0 {
		return
	}
	r.lines--
	if about != "" {
		text = about + ": " + text
	}
	r.print(text)
}
