package listener

import (
	"net/netip"
	"testing"
	"time"

	"lkt/sshd/settings"
)

var (
	start  = time.Unix(0, 0)
	client = netip.MustParseAddr("192.0.2.1")
)

func TestLoginsAreBounded(t *testing.T) {
	limits := settings.Default().Limits
	limits.Connections = 2
	all := newLogins(limits)
	for id := range uint32(3) {
		all.Add(id, client, start)
		if ok := all.authenticate(id); ok != (id < 2) {
			t.Error(id, ok)
		}
	}
	all.ended(0)
	all.Add(3, client, start)
	if !all.authenticate(3) {
		t.Error("no place after an end")
	}
}

func TestAuthenticateRejectsEndedConnections(t *testing.T) {
	all := newLogins(settings.Default().Limits)
	all.Add(1, client, start)
	all.Expire(start.Add(20 * time.Second))
	if all.authenticate(1) {
		t.Error("accepted")
	}
}
