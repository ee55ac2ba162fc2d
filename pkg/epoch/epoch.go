// Package epoch bounds the time that a machine can have: it is later than the source of its image.
// PID 1 sets a clock that is behind, and lkt/ntp accepts no time outside the bounds.
package epoch

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// source is the date of this source, in seconds since 1970. The files of an image have no time to
// take instead: it would change their digest. Releases need a recent one.
const source = 1795824000 // 2026-11-28

// Source is the date of this source.
var Source = time.Unix(source, 0)

// maxYears is the number of years after the floor that an image may be in use.
const maxYears = 20

// parameter is the kernel parameter with the date of an image.
const parameter = "lkt.epoch="

// Floor returns the earliest time that a machine can have: the later of Source and, in seconds
// since 1970, "lkt.epoch=SECONDS" of the kernel command line. With an invalid parameter it also
// returns an error.
func Floor(cmdline string) (floor time.Time, err error) {
	floor = Source
	for _, word := range strings.Fields(cmdline) {
		value, found := strings.CutPrefix(word, parameter)
		if !found {
			continue
		}
		seconds, failure := strconv.ParseInt(value, 10, 64)
		if failure != nil || seconds < 0 || seconds > Ceiling(Source).Unix() {
			err = fmt.Errorf("%s is not a number of seconds since 1970, at most %d", word, Ceiling(Source).Unix())
		} else if seconds > floor.Unix() {
			floor = time.Unix(seconds, 0)
		}
	}
	return floor, err
}

// Ceiling returns the latest time that a machine with the floor can have.
func Ceiling(floor time.Time) time.Time { return floor.AddDate(maxYears, 0, 0) }
