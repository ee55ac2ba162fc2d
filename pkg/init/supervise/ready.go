package supervise

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

const (
	firstAsk   = 20 * time.Millisecond
	longestAsk = time.Second
	// longestLine is how much of a line of a log is looked at.
	longestLine = 64 << 10
)

// awaitReady asks a service until it is ready. When its time is over it says so on overdue, and asks on. It returns false when
// ctx has ended.
func (s *Supervisor) awaitReady(ctx context.Context, one *service, from int64, overdue chan<- struct{}) bool {
	r := one.rules.Ready
	if r == nil {
		return true
	}
	ask := s.question(one, from)
	late := time.NewTimer(r.timeout())
	defer late.Stop()
	for pause := firstAsk; ; pause = min(2*pause, longestAsk) {
		if ask(ctx) && ctx.Err() == nil {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-late.C:
			overdue <- struct{}{}
		case <-time.After(pause):
		}
	}
}

// question gives what is asked: whether the service is ready now.
func (s *Supervisor) question(one *service, from int64) func(context.Context) bool {
	r := one.rules.Ready
	switch {
	case r.Socket != "":
		return func(ctx context.Context) bool { return takesConnections(ctx, r.Socket) }
	case len(r.Exec) > 0:
		return func(ctx context.Context) bool {
			ctx, cancel := context.WithTimeout(ctx, r.timeout())
			defer cancel()
			return s.runtime.Exec(ctx, one.name, r.Exec) == nil
		}
	case r.Log != "":
		search := &lineSearch{path: s.runtime.LogPath(one.name), from: from, text: []byte(r.Log)}
		return func(context.Context) bool { return search.found() }
	}
	return func(context.Context) bool { return true }
}

// takesConnections tries a socket of any type: one that expects another type is there and listens.
func takesConnections(ctx context.Context, path string) bool {
	dialer := net.Dialer{Timeout: time.Second}
	connection, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return errors.Is(err, syscall.EPROTOTYPE)
	}
	connection.Close()
	return true
}

// lineSearch looks for a text in the lines that a log gets. A log that has become shorter was begun anew.
type lineSearch struct {
	path string
	from int64
	text []byte
	// kept is the end of what was read, in which the text may have begun.
	kept []byte
}

func (l *lineSearch) found() bool {
	file, err := os.Open(l.path)
	if err != nil {
		return false
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() < l.from {
		l.from, l.kept = 0, nil
	}
	piece := make([]byte, longestLine)
	for {
		n, err := file.ReadAt(piece, l.from)
		l.from += int64(n)
		l.kept = append(l.kept, piece[:n]...)
		if bytes.Contains(l.kept, l.text) {
			return true
		}
		l.kept = bytes.Clone(l.kept[max(0, len(l.kept)-len(l.text)+1):])
		if err != nil || n == 0 {
			return false
		}
	}
}

func logSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
