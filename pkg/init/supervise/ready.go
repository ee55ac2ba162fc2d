package supervise

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

const (
	firstPollDelay = 20 * time.Millisecond
	maxPollDelay   = time.Second
	// readSize is how many bytes of a log to read at once.
	readSize = 64 << 10
	// maxLine is how many bytes of a log line to keep while it is incomplete.
	maxLine = 4096
	// maxShown is how many bytes of the line that made a service ready are reported.
	maxShown = 200
)

// awaitReady polls a service until it is ready. When the timeout ends, it sends to overdue and
// continues. If the service is ready when its log has a certain line, awaitReady returns the line.
// It returns false when ctx ends.
func (s *Supervisor) awaitReady(ctx context.Context, svc *service, from logPosition, overdue chan<- struct{}) (line string, ok bool) {
	r := svc.rules.Ready
	if r == nil {
		return "", true
	}
	isReadyNow := s.readyCheck(svc, from)
	late := time.NewTimer(r.timeout())
	defer late.Stop()
	for delay := firstPollDelay; ; delay = min(2*delay, maxPollDelay) {
		if line, ok := isReadyNow(ctx); ok && ctx.Err() == nil {
			return line, true
		}
		select {
		case <-ctx.Done():
			return "", false
		case <-late.C:
			overdue <- struct{}{}
		case <-time.After(delay):
		}
	}
}

// readyCheck returns the function that checks whether the service is ready. If the check is for a
// line of its log, the function returns the line.
func (s *Supervisor) readyCheck(svc *service, from logPosition) func(context.Context) (string, bool) {
	r := svc.rules.Ready
	switch {
	case r.Socket != "":
		return func(ctx context.Context) (string, bool) { return "", acceptsConnections(ctx, r.Socket) }
	case len(r.Exec) > 0:
		return func(ctx context.Context) (string, bool) {
			ctx, cancel := context.WithTimeout(ctx, r.timeout())
			defer cancel()
			return "", s.runtime.Exec(ctx, svc.name, r.Exec) == nil
		}
	case r.Log != "":
		search := &logSearch{path: s.runtime.LogPath(svc.name), from: from, text: []byte(r.Log)}
		return func(context.Context) (string, bool) {
			found := search.found()
			return search.line, found
		}
	}
	return func(context.Context) (string, bool) { return "", true }
}

// acceptsConnections reports whether a Unix socket of any type is listening: a socket of another
// type fails with EPROTOTYPE.
func acceptsConnections(ctx context.Context, path string) bool {
	dialer := net.Dialer{Timeout: time.Second}
	connection, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return errors.Is(err, syscall.EPROTOTYPE)
	}
	connection.Close()
	return true
}

// logPosition is a position in a log. file is nil if the log does not exist.
type logPosition struct {
	file   os.FileInfo
	offset int64
}

func endOfLog(path string) logPosition {
	info, err := os.Stat(path)
	if err != nil {
		return logPosition{}
	}
	return logPosition{info, info.Size()}
}

// logSearch searches the lines appended to a log for a text. If the log has become shorter, it was
// truncated and is read from its start. If the path is another file, the log was rotated: the
// search finishes PATH.1 and continues in the new file.
type logSearch struct {
	path string
	from logPosition
	text []byte
	// kept is the end of the data that was read, in which the text or its line may begin.
	kept []byte
	// line is the found line without its time, of at most maxShown bytes.
	line string
}

func (l *logSearch) found() bool {
	file, err := os.Open(l.path)
	if errors.Is(err, fs.ErrNotExist) { // until the first line after a rotation
		return l.from.file != nil && l.foundInOlder()
	}
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

func (l *logSearch) foundInOlder() bool {
	file, err := os.Open(l.path + ".1")
	if err != nil {
		return false
	}
	defer file.Close()
	info, err := file.Stat()
	return err == nil && os.SameFile(l.from.file, info) && l.foundIn(file)
}

func (l *logSearch) foundIn(file *os.File) bool {
	chunk := make([]byte, readSize)
	for {
		n, err := file.ReadAt(chunk, l.from.offset)
		l.from.offset += int64(n)
		l.kept = append(l.kept, chunk[:n]...)
		if at := bytes.Index(l.kept, l.text); at >= 0 {
			l.line = lineAt(l.kept, at)
			return true
		}
		l.kept = bytes.Clone(l.kept[max(0, len(l.kept)-len(l.text)-maxLine):])
		if err != nil || n == 0 {
			return false
		}
	}
}

// lineAt returns the text of the log line around a position.
func lineAt(data []byte, at int) string {
	line := data[bytes.LastIndexByte(data[:at], '\n')+1:]
	if end := bytes.IndexByte(line, '\n'); end >= 0 {
		line = line[:end]
	}
	text := string(line)
	if stamp, rest, ok := strings.Cut(text, " "); ok {
		if _, err := time.Parse(time.RFC3339Nano, stamp); err == nil {
			text = rest
		}
	}
	return strings.ToValidUTF8(text[:min(len(text), maxShown)], "")
}
