package bounded

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// syncTime is how long a sync may write nothing.
const syncTime = 30 * time.Second

// Sync writes all data to the disks. It gives up, with an error, when nothing has been written for
// half a minute, or soon after forced ends.
func Sync(forced context.Context) error {
	begin, done := time.Now(), make(chan struct{})
	go func() {
		unix.Sync()
		close(done)
	}()
	patience := &progress{limit: syncTime}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return nil
		case <-tick.C:
		}
		if forced.Err() != nil {
			patience.limit = min(patience.limit, forcedTime)
		}
		text, err := os.ReadFile("/proc/meminfo")
		if err != nil || patience.isOver(time.Since(begin), unwritten(string(text))) {
			return fmt.Errorf("nothing was written for %v, data may be lost", patience.limit)
		}
	}
}

// progress observes a number that should fall.
type progress struct {
	limit time.Duration
	least uint64
	// since is when least was first seen.
	since   time.Duration
	isBegun bool
}

// isOver reports whether the number has not reached a new minimum for the limit.
func (p *progress) isOver(now time.Duration, left uint64) bool {
	if !p.isBegun || left < p.least {
		p.least, p.since, p.isBegun = left, now, true
	}
	return now-p.since >= p.limit
}

// unwritten returns how much data in /proc/meminfo is not on a disk yet, in KiB.
func unwritten(meminfo string) uint64 {
	sum := uint64(0)
	for line := range strings.Lines(meminfo) {
		name, value, _ := strings.Cut(line, ":")
		if fields := strings.Fields(value); len(fields) > 0 && (name == "Dirty" || name == "Writeback") {
			number, _ := strconv.ParseUint(fields[0], 10, 64)
			sum += number
		}
	}
	return sum
}
