package logd

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"lkt/init/logs"
)

const (
	// idle is how long a line may lack its end before it is kept without.
	idle = time.Second
	// markPause is the least time between two lines that tell of others that were dropped.
	markPause = 5 * time.Second
	// dropPause is how long one that writes too much waits between two pieces: dropping takes time from all.
	dropPause = 10 * time.Millisecond
	pieceSize = 32 << 10
	// overhead is what a line costs besides its bytes, so that empty ones are not for nothing.
	overhead = 28
)

// source reads the lines of one writer. Several may have one name; each has a limit of its own.
type source struct {
	name  string
	file  *os.File
	keep  func(logs.Entry)
	count func(func(*logs.Status))
	limit *limit

	mutex sync.Mutex
	// line is the begin of one that has no end yet. skipping: the rest of it is too long.
	line     []byte
	skipping bool
	// dropped since the last mark.
	lines, bytes int64
	marked       time.Time
}

// run reads until the last writer has closed.
func (s *source) run() {
	defer s.file.Close()
	raw, err := s.file.SyscallConn()
	if err != nil {
		return
	}
	piece := make([]byte, pieceSize)
	for {
		_ = s.file.SetReadDeadline(time.Now().Add(idle))
		ended, dropping := false, false
		err := raw.Read(func(fd uintptr) bool {
			s.mutex.Lock()
			defer s.mutex.Unlock()
			n, err := syscall.Read(int(fd), piece)
			switch {
			case err == syscall.EAGAIN:
				return false
			case err == syscall.EINTR:
			case n <= 0:
				ended = true
			default:
				dropping = s.take(piece[:n])
			}
			return true
		})
		switch {
		case ended || err != nil && !os.IsTimeout(err):
			s.finish()
			return
		case err != nil:
			s.finish()
		case dropping:
			time.Sleep(dropPause)
		}
	}
}

// take splits what was read into lines, and says whether one of them was dropped.
func (s *source) take(piece []byte) (dropping bool) {
	for len(piece) > 0 {
		text, rest, whole := bytes.Cut(piece, []byte("\n"))
		piece = rest
		if !s.skipping {
			room := logs.LongestLine - len(s.line)
			s.line = append(s.line, text[:min(len(text), room)]...)
			s.skipping = len(text) > room
		}
		if whole {
			dropping = !s.end() || dropping
		}
	}
	return dropping
}

// end keeps a line, or drops it.
func (s *source) end() bool {
	text := string(bytes.TrimSuffix(s.line, []byte("\r")))
	s.line, s.skipping = s.line[:0], false
	now := time.Now()
	cost := int64(len(text)) + overhead
	if !s.limit.take(now, cost) {
		s.lines++
		s.bytes += cost
		s.count(func(status *logs.Status) { status.DroppedLines++; status.DroppedBytes += cost })
		return false
	}
	if s.lines > 0 && now.Sub(s.marked) > markPause {
		s.mark(now)
	}
	s.keep(logs.Entry{Time: now, Source: s.name, Text: text})
	return true
}

// mark tells of the lines that were dropped, where they would be.
func (s *source) mark(now time.Time) {
	s.keep(logs.Entry{Time: now, Source: s.name, Text: fmt.Sprintf(
		"lkt-logs: %d lines dropped, of %d bytes: more than %d bytes a second", s.lines, s.bytes, s.limit.rate)})
	s.lines, s.bytes, s.marked = 0, 0, now
}

// finish keeps what has no end, and tells what was dropped.
func (s *source) finish() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if len(s.line) > 0 || s.skipping {
		s.end()
	}
	if s.lines > 0 {
		s.mark(time.Now())
	}
}

// drained says whether everything that was written has been taken, and then finishes.
func (s *source) drained() bool {
	raw, err := s.file.SyscallConn()
	if err != nil {
		return true
	}
	waiting := int32(0)
	s.mutex.Lock()
	err = raw.Control(func(fd uintptr) {
		const fionread = 0x541b
		_, _, _ = syscall.Syscall(syscall.SYS_IOCTL, fd, fionread, uintptr(unsafe.Pointer(&waiting)))
	})
	s.mutex.Unlock()
	if err == nil && waiting > 0 {
		return false
	}
	s.finish()
	return true
}
