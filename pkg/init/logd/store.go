package logd

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"lkt/init/logs"
)

// store manages the log files. A source has a newer and an older file, together at most size bytes.
// When the newer file has half of that, it replaces the older one. If a line makes all files exceed
// total, the source that uses most first loses its older file, or its only one. So a flooding
// source does not displace others.
type store struct {
	dir         string
	size, total int64

	mutex   sync.Mutex
	sources map[string]*sourceFiles
	used    int64
	readers map[chan<- logs.Entry]*reader
}

// sourceFiles are the files and the status of one source.
type sourceFiles struct {
	name         string
	file         *os.File
	newer, older int64
	status       logs.Status
}

// reader follows new lines. missed counts those that its channel had no room for.
type reader struct{ missed int64 }

// openStore opens a directory with the logs of an earlier run, if any.
func openStore(dir string, size, total int64) (*store, error) {
	s := &store{dir: dir, size: size, total: total, sources: map[string]*sourceFiles{}, readers: map[chan<- logs.Entry]*reader{}}
	names, err := logs.Sources(dir)
	if err != nil {
		return nil, err
	}
	status, _ := logs.ReadStatus(dir)
	for _, name := range names {
		if !isOwnFile(logs.Path(dir, name)) {
			continue
		}
		k := s.filesOf(name)
		k.status = status[name]
		k.newer, k.older = fileSize(logs.Path(dir, name)), fileSize(logs.Path(dir, name)+".1")
		s.used += k.newer + k.older
	}
	return s, nil
}

func isOwnFile(path string) bool {
	var stat syscall.Stat_t
	return syscall.Lstat(path, &stat) == nil && stat.Mode&syscall.S_IFMT == syscall.S_IFREG && int(stat.Uid) == os.Getuid()
}

func fileSize(path string) int64 {
	if info, err := os.Lstat(path); err == nil {
		return info.Size()
	}
	return 0
}

func (s *store) filesOf(name string) *sourceFiles {
	k, found := s.sources[name]
	if !found {
		k = &sourceFiles{name: name}
		s.sources[name] = k
	}
	return k
}

// hasRoom reports whether the source exists or may be added.
func (s *store) hasRoom(name string, limit int) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	_, found := s.sources[name]
	return found || len(s.sources) < limit
}

// append writes a line to the source's file, and sends it to the readers.
func (s *store) append(e logs.Entry) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	k := s.filesOf(e.Source)
	line := e.AppendLine(nil)
	k.status.Lines++
	k.status.Bytes += int64(len(line))
	for to, r := range s.readers {
		select {
		case to <- e:
		default:
			r.missed++
		}
	}
	if k.newer > 0 && k.newer+int64(len(line)) > s.size/2 {
		s.rotate(k)
	}
	for s.used+int64(len(line)) > s.total && s.shrink() {
	}
	if k.file == nil {
		flags := os.O_WRONLY | os.O_APPEND | os.O_CREATE | syscall.O_NOFOLLOW | syscall.O_NONBLOCK
		file, err := os.OpenFile(logs.Path(s.dir, k.name), flags, 0o640)
		if err != nil {
			return err
		}
		k.file = file
	}
	n, err := k.file.Write(line)
	// A file system that is full took only the beginning of the line.
	if n < len(line) && k.file.Truncate(k.newer) == nil {
		n = 0
	}
	k.newer += int64(n)
	s.used += int64(n)
	return err
}

// rotate makes the newer file of a source its older file.
func (s *store) rotate(k *sourceFiles) {
	s.close(k)
	path := logs.Path(s.dir, k.name)
	if err := os.Rename(path, path+".1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return // it grows until the rename succeeds
	}
	s.used -= k.older
	k.newer, k.older = 0, k.newer
}

// shrink deletes the older half of the largest source, and reports whether that freed space.
func (s *store) shrink() bool {
	var largest *sourceFiles
	for _, k := range s.sources {
		if largest == nil || k.newer+k.older > largest.newer+largest.older {
			largest = k
		}
	}
	if largest == nil {
		return false
	}
	if largest.older == 0 {
		s.rotate(largest)
	}
	if err := os.Remove(logs.Path(s.dir, largest.name) + ".1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	s.used -= largest.older
	freed := largest.older > 0
	largest.older = 0
	return freed
}

func (s *store) close(k *sourceFiles) {
	if k.file != nil {
		k.file.Close()
		k.file = nil
	}
}

// release closes the file of a source without writers.
func (s *store) release(name string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.close(s.filesOf(name))
}

// count updates the status of a source.
func (s *store) count(name string, change func(*logs.Status)) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	change(&s.filesOf(name).status)
}

// status returns the status of each source.
func (s *store) status() map[string]logs.Status {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	all := map[string]logs.Status{}
	for name, k := range s.sources {
		k.status.Kept = k.newer + k.older
		all[name] = k.status
	}
	return all
}

// read returns cursors over the current logs if old is true, and sends each later line to lines if
// that is not nil.
func (s *store) read(old bool, lines chan<- logs.Entry) (cursors []*logs.Cursor) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if lines != nil {
		s.readers[lines] = &reader{}
	}
	if !old {
		return nil
	}
	for name := range s.sources {
		c, err := logs.OpenCursor(s.dir, name, true)
		if err != nil {
			continue // the source has no file
		}
		if c.Freeze() != nil {
			c.Close()
			continue
		}
		cursors = append(cursors, c)
	}
	return cursors
}

// missed returns how many lines a reader has missed since the last call.
func (s *store) missed(lines chan<- logs.Entry) int64 {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	missed := s.readers[lines].missed
	s.readers[lines].missed = 0
	return missed
}

func (s *store) removeReader(lines chan<- logs.Entry) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.readers, lines)
}
