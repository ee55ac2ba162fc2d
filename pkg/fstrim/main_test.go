package main

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]options{
		"fstrim":                       {false, time.Hour, []string{"/var"}},
		"fstrim -1 /var/lib/docker /a": {true, time.Hour, []string{"/var/lib/docker", "/a"}},
		"fstrim -interval 24h /var":    {false, 24 * time.Hour, []string{"/var"}},
		"/usr/bin/trim-after-delete -docker-socket /x -delay 10s -- /sbin/fstrim /var/lib/docker": {false, time.Hour, []string{"/var/lib/docker"}},
		"trim-after-delete -- /sbin/fstrim": {false, time.Hour, []string{"/var"}},
	} {
		got, err := parse(strings.Fields(text))
		if err != nil || got.isOnce != want.isOnce || got.interval != want.interval || !slices.Equal(got.paths, want.paths) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"fstrim relative", "fstrim -interval 1s", "fstrim -x", "trim-after-delete -- /bin/sh -c x", "fstrim -docker-socket x", "trim-after-delete -- /sbin/fstrim -a"} {
		if got, err := parse(strings.Fields(text)); err == nil {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

var errEnd = errors.New("end")

// trims returns how often a directory is trimmed, of which the calls return the given errors.
func trims(o options, results ...error) (count int, err error) {
	o.paths = []string{"/var"}
	err = run(o, func(string) (uint64, error) {
		count++
		if count > len(results) {
			return 0, syscall.EOPNOTSUPP
		}
		return 1, results[count-1]
	}, func(time.Duration) {})
	return count, err
}

func TestRun(t *testing.T) {
	if count, err := trims(options{isOnce: true}, nil); count != 1 || err != nil {
		t.Error(count, err)
	}
	if count, err := trims(options{}, errEnd); count != 1 || !errors.Is(err, errEnd) {
		t.Error("first failure:", count, err)
	}
	if count, err := trims(options{}, nil, errEnd, nil); count != 4 || !errors.Is(err, syscall.EOPNOTSUPP) {
		t.Error("later failure:", count, err)
	}
}

func TestTrimReportsErrorsOfTheKernel(t *testing.T) {
	if _, err := trim("/proc"); err == nil {
		t.Error("trimmed /proc")
	}
	if _, err := trim("/nonexistent"); !errors.Is(err, syscall.ENOENT) {
		t.Error(err)
	}
}
