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
func (s *Supervisor) awaitReady(ctx context.Context, one *service, from place, overdue chan<- struct{}) bool {
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
func (s *Supervisor) question(one *service, from place) func(context.Context) bool {
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

// place is one in a log: the file, none when there was no log, and how far it is in it.
type place struct {
	file   os.FileInfo
	offset int64
}

func endOfLog(path string) place {
	info, err := os.Stat(path)
	if err != nil {
		return place{}
	}
	return place{info, info.Size()}
}

// lineSearch looks for a text in the lines that a log gets. A log that has become shorter was begun anew. One that is another
// file goes on there: what the first one got before is in PATH.1.
type lineSearch struct {
	path string
	from place
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
	info, err := file.Stat()
	if err != nil {
		return false
	}
	switch {
	case l.from.file != nil && !os.SameFile(l.from.file, info):
		if l.foundInOlder() {
			return true
		}
		l.from.offset = 0
	case info.Size() < l.from.offset:
		l.from.offset, l.kept = 0, nil
	}
	l.from.file = info
	return l.foundIn(file)
}

func (l *lineSearch) foundInOlder() bool {
	file, err := os.Open(l.path + ".1")
	if err != nil {
		return false
	}
	defer file.Close()
	info, err := file.Stat()
	return err == nil && os.SameFile(l.from.file, info) && l.foundIn(file)
}

func (l *lineSearch) foundIn(file *os.File) bool {
	piece := make([]byte, longestLine)
	for {
		n, err := file.ReadAt(piece, l.from.offset)
		l.from.offset += int64(n)
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
