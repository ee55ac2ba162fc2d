package main

import (
	"fmt"
	"strconv"
	"strings"
)

// status is what AUDIT_SET sets, with the masks of its fields (struct audit_status).
type status struct {
	mask, enabled, failure, pid, rateLimit, backlogLimit, waitTime uint32
}

// Bits of the mask.
const (
	hasEnabled      = 0x01
	hasFailure      = 0x02
	hasPID          = 0x04
	hasRateLimit    = 0x08
	hasBacklogLimit = 0x10
	hasWaitTime     = 0x20
)

// defaultStatus are LinuxKit's settings: records that do not fit are reported, and nothing waits.
var defaultStatus = status{
	mask: hasEnabled | hasFailure | hasPID | hasBacklogLimit | hasWaitTime, enabled: 1, failure: 1, backlogLimit: 8192,
}

// parseRules parses audit.rules: the options of auditctl(8) that set a number, and "-D", as the
// kernel has no rules at boot.
func parseRules(text string) (status, error) {
	s := defaultStatus
	number := 0
	for line := range strings.Lines(text) {
		number++
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") || len(words) == 1 && words[0] == "-D" {
			continue
		}
		if err := s.set(words); err != nil {
			return s, fmt.Errorf("%s:%d: %w", rulesPath, number, err)
		}
	}
	return s, nil
}

func (s *status) set(words []string) error {
	field, limit, bit := (*uint32)(nil), uint64(0), uint32(0)
	switch words[0] {
	case "-b":
		field, limit, bit = &s.backlogLimit, 1<<20, hasBacklogLimit
	case "--backlog_wait_time":
		field, limit, bit = &s.waitTime, 600_000, hasWaitTime
	case "-f":
		field, limit, bit = &s.failure, 2, hasFailure
	case "-r":
		field, limit, bit = &s.rateLimit, 1<<20, hasRateLimit
	case "-e":
		field, limit, bit = &s.enabled, 2, hasEnabled
	default:
		return fmt.Errorf("%s is not supported: only -D, -b, -e, -f, -r and --backlog_wait_time", words[0])
	}
	if len(words) != 2 {
		return fmt.Errorf("%s needs one number", words[0])
	}
	value, err := strconv.ParseUint(words[1], 10, 32)
	if err != nil || value > limit {
		return fmt.Errorf("%s %.20s must be a number from 0 to %d", words[0], words[1], limit)
	}
	*field = uint32(value)
	s.mask |= bit
	return nil
}
