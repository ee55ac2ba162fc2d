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
	// idleTimeout is how long to wait for the end of a line before the line is stored without it.
	idleTimeout = time.Second
	// markInterval is the minimum time between two reports of dropped lines.
	markInterval = 5 * time.Second
	// dropDelay is the pause after dropped lines, so that a flooding source does not take time from
	// others.
	dropDelay = 10 * time.Millisecond
	chunkSize = 32 << 10
	// overhead is the cost of a line besides its bytes, so that empty lines are limited too.
	overhead = 28
)

// source reads the lines of one writer. Several writers may share a name; each has its own rate
// limit.
type source struct {
	name   string
	file   *os.File
	record func(logs.Entry)
	count  func(func(*logs.Status))
	limit  *rateLimit

	mutex sync.Mutex
	// line is an incomplete line. skipping: its rest exceeds the maximum length.
	line     []byte
	skipping bool
	// Dropped since the last report.
	lines, bytes int64
	reported     time.Time
}

// run reads until the last writer has closed the file.
func (s *source) run() {
	defer s.file.Close()
	raw, err := s.file.SyscallConn()
	if err != nil {
		return
	}
	chunk := make([]byte, chunkSize)
	for {
		_ = s.file.SetReadDeadline(time.Now().Add(idleTimeout))
		ended, dropping := false, false
		err := raw.Read(func(fd uintptr) bool {
			s.mutex.Lock()
			defer s.mutex.Unlock()
			n, err := syscall.Read(int(fd), chunk)
			switch {
			case err == syscall.EAGAIN:
				return false
			case err == syscall.EINTR:
			case n <= 0:
				ended = true
			default:
				dropping = s.take(chunk[:n])
			}
			return true
		})
		switch {
		case ended || err != nil && !os.IsTimeout(err):
			s.flush()
			return
		case err != nil:
			s.flush()
		case dropping:
			time.Sleep(dropDelay)
		}
	}
}

// take splits a chunk into lines, and reports whether one of them was dropped.
func (s *source) take(chunk []byte) (dropping bool) {
	for len(chunk) > 0 {
		text, rest, whole := bytes.Cut(chunk, []byte("\n"))
		chunk = rest
		if !s.skipping {
			available := logs.MaxLineLength - len(s.line)
			s.line = append(s.line, text[:min(len(text), available)]...)
			s.skipping = len(text) > available
		}
		if whole {
			dropping = !s.endLine() || dropping
		}
	}
	return dropping
}

// endLine records or drops the current line. It reports whether the line was recorded.
func (s *source) endLine() bool {
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
	if s.lines > 0 && now.Sub(s.reported) > markInterval {
		s.reportDropped(now)
	}
	s.record(logs.Entry{Time: now, Source: s.name, Text: text})
	return true
}

// reportDropped records a line about the dropped lines, at their position in the log.
func (s *source) reportDropped(now time.Time) {
	s.record(logs.Entry{Time: now, Source: s.name, Text: fmt.Sprintf(
		"lkt-logs: %d lines dropped, %d bytes: over the limit of %d bytes a second", s.lines, s.bytes, s.limit.rate)})
	s.lines, s.bytes, s.reported = 0, 0, now
}

// flush records an incomplete line, and reports dropped lines.
func (s *source) flush() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if len(s.line) > 0 || s.skipping {
		s.endLine()
	}
	if s.lines > 0 {
		s.reportDropped(time.Now())
	}
}

// drained reports whether all output has been read, and flushes the source if so.
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
	s.flush()
	return true
}
