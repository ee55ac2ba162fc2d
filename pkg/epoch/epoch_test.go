package epoch

import (
	"testing"
	"time"
)

func TestFloorIsTheLaterDate(t *testing.T) {
	for cmdline, want := range map[string]int64{
		"":                             source,
		"console=ttyS0 lkt.epoch=1\n":  source,
		"lkt.epoch=1900000000 panic=1": 1900000000,
		"lkt.epoch=1900000000 lkt.epoch=1800000000": 1900000000,
		"xlkt.epoch=1900000000":                     source,
	} {
		if floor, err := Floor(cmdline); err != nil || floor.Unix() != want {
			t.Errorf("%q: %v, %v", cmdline, floor, err)
		}
	}
}

func TestFloorRejectsInvalidDates(t *testing.T) {
	for _, value := range []string{"", "-1", "2030-01-01", "1e9", "99999999999", "99999999999999999999", "9223372036854775807"} {
		if floor, err := Floor("lkt.epoch=" + value); err == nil || !floor.Equal(Source) {
			t.Errorf("%q: %v, %v", value, floor, err)
		}
	}
}

func TestCeilingIsYearsAfterTheFloor(t *testing.T) {
	if years := Ceiling(Source).Sub(Source) / (365 * 24 * time.Hour); years != maxYears {
		t.Errorf("%d years", years)
	}
}
