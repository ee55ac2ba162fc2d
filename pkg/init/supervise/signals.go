package supervise

import (
	"strconv"
	"strings"
	"syscall"
)

// IgnoresTerm reports whether a process, given its /proc/PID/status, is the init of a PID namespace
// without a handler for SIGTERM. The kernel does not deliver the signal to such a process, so there
// is no point in waiting.
func IgnoresTerm(status string) bool {
	first, handled := false, true
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		switch {
		case name == "NSpid":
			first = len(fields) > 1 && fields[len(fields)-1] == "1"
		case name == "SigCgt" && len(fields) == 1:
			set, err := strconv.ParseUint(fields[0], 16, 64)
			handled = err != nil || set>>(syscall.SIGTERM-1)&1 == 1
		}
	}
	return first && !handled
}
