package emulator

import (
	"strings"
	"testing"
)

// The program is that of open-vm-tools.
func TestWorksWithTheirRpctool(t *testing.T) {
	h := &Host{}
	rpctool := Peer(t, "vmware-rpctool")
	for _, c := range []struct{ request, want string }{
		{"info-set guestinfo.color deep blue", ""},
		{"info-get guestinfo.color", "deep blue"},
		{"info-get guestinfo.none", "No value found"},
		{"unheard-of", "Unknown command"},
		{"info-set guestinfo.long " + strings.Repeat("x", 1001), ""},
		{"info-get guestinfo.long", strings.Repeat("x", 1001)},
	} {
		if got := strings.TrimSpace(Run(t, h, func() bool { return false }, rpctool, c.request)); got != c.want {
			t.Errorf("%.40s: %q", c.request, got)
		}
	}
}
