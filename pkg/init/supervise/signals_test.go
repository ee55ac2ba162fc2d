package supervise

import "testing"

func TestIgnoresTerm(t *testing.T) {
	for status, want := range map[string]bool{
		"NSpid:\t812\t1\nSigCgt:\t0000000000000000\n": true,
		"NSpid:\t812\t1\nSigCgt:\t0000000000004000\n": false, // handles SIGTERM
		"NSpid:\t812\nSigCgt:\t0000000000000000\n":    false, // the host's namespace
		"NSpid:\t812\t7\nSigCgt:\t0000000000000000\n": false,
		"": false,
	} {
		if got := IgnoresTerm(status); got != want {
			t.Errorf("%q: %v", status, got)
		}
	}
}
