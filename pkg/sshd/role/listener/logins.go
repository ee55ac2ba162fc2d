package listener

import (
	"time"

	"lkt/bounds"
	"lkt/sshd/settings"
)

// logins has the connections before their login, and those after it.
type logins struct {
	*bounds.Table
	authenticated map[uint32]bool
	limit         int
}

func newLogins(limits settings.Limits) *logins {
	return &logins{
		Table: bounds.New(bounds.Limits{
			Total:      limits.Unauthenticated,
			PerAddress: limits.UnauthenticatedPerAddress,
			Time:       time.Duration(limits.AuthenticationSeconds) * time.Second,
		}),
		authenticated: map[uint32]bool{},
		limit:         limits.Connections,
	}
}

// authenticate records a login. It reports whether there is a place for it.
func (l *logins) authenticate(id uint32) bool {
	if !l.Remove(id) || len(l.authenticated) >= l.limit {
		return false
	}
	l.authenticated[id] = true
	return true
}

// ended removes a connection.
func (l *logins) ended(id uint32) {
	l.Remove(id)
	delete(l.authenticated, id)
}
