package main

import (
	"testing"
	"time"
)

func TestParseRecord(t *testing.T) {
	for record, want := range map[string]struct {
		at   time.Duration
		text string
	}{
		"6,229,812345,-;Unpacking initramfs...\n":                       {812345 * time.Microsecond, "Unpacking initramfs..."},
		"6,230,1999000,-,caller=T1;Freeing initrd memory: 4K\n KEY=1\n": {1999 * time.Millisecond, "Freeing initrd memory: 4K"},
		"6,1,x,-;no time\n": {},
		"no record":         {},
		"":                  {},
	} {
		if at, text := parseRecord(record); at != want.at || text != want.text {
			t.Errorf("%q: %v %q", record, at, text)
		}
	}
}
