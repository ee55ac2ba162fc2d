package watchdog

import (
	"strings"
	"testing"
	"time"
)

func TestSetting(t *testing.T) {
	for cmdline, want := range map[string]time.Duration{
		"":                                  time.Minute,
		"console=ttyS0 lkt.watchdog=30":     30 * time.Second,
		"lkt.watchdog=off":                  0,
		"lkt.watchdog=20 lkt.watchdog=3600": time.Hour,
	} {
		got, isSet, err := setting(strings.Fields(cmdline))
		if err != nil || got != want || isSet != strings.Contains(cmdline, "watchdog") {
			t.Errorf("%q: %v %v %v", cmdline, got, isSet, err)
		}
	}
	for _, value := range []string{"", "9", "3601", "-60", "1e3", "60s", "99999999999999999999"} {
		if got, _, err := setting([]string{"lkt.watchdog=" + value}); err == nil || got != defaultTimeout {
			t.Errorf("%q: %v", value, got)
		}
	}
}
