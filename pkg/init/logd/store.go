package logd

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"lkt/init/logs"
)

// store has the files. A source has at most Size bytes of them: its newer file becomes the older one when it has half of
// that, and the older one goes. When all have more than Total, the source that has most loses, so that one which writes much
// takes nothing from others.
type store struct {
	dir         string
	size, total int64

	mutex   sync.Mutex
	sources map[string]*kept
	used    int64
	readers map[chan<- logs.Entry]*reader
}

// kept are the files of one source.
type kept struct {
	name         string
	file         *os.File
	newer, older int64
	status       logs.Status
}

// reader is somebody who gets each new line. Lines for which there is no room are counted.
type reader struct{ missed int64 }

// openStore goes on with the files that are there.
func openStore(dir string, size, total int64) (*store, error) {
	s := &store{dir: dir, size: size, total: total, sources: map[string]*kept{}, readers: map[chan<- logs.Entry]*reader{}}
	names, err := logs.Sources(dir)
	if err != nil {
		return nil, err
	}
	status, _ := logs.ReadStatus(dir)
	for _, name := range names {
		if !isOurs(logs.Path(dir, name)) {
			continue
		}
		k := s.of(name)
		k.status = status[name]
		k.newer, k.older = fileSize(logs.Path(dir, name)), fileSize(logs.Path(dir, name)+".1")
		s.used += k.newer + k.older
	}
	return s, nil
}

func isOurs(path string) bool {
	var stat syscall.Stat_t
	return syscall.Lstat(path, &stat) == nil && stat.Mode&syscall.S_IFMT == syscall.S_IFREG && int(stat.Uid) == os.Getuid()
}

func fileSize(path string) int64 {
	if info, err := os.Lstat(path); err == nil {
		return info.Size()
	}
	return 0
}

func (s *store) of(name string) *kept {
	k, found := s.sources[name]
	if !found {
		k = &kept{name: name}
		s.sources[name] = k
	}
	return k
}

// hasRoom says whether a source is known, or may become so.
func (s *store) hasRoom(name string, most int) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	_, found := s.sources[name]
	return found || len(s.sources) < most
}

// append keeps a line, and gives it to the readers.
func (s *store) append(e logs.Entry) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	k := s.of(e.Source)
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
	if k.file == nil {
		flags := os.O_WRONLY | os.O_APPEND | os.O_CREATE | syscall.O_NOFOLLOW | syscall.O_NONBLOCK
		file, err := os.OpenFile(logs.Path(s.dir, k.name), flags, 0o640)
		if err != nil {
			return err
		}
		k.file = file
	}
	n, err := k.file.Write(line)
	k.newer += int64(n)
	s.used += int64(n)
	for s.used > s.total && s.shrink() {
	}
	return err
}

// rotate makes the newer file of a source the older one.
func (s *store) rotate(k *kept) {
	s.close(k)
	path := logs.Path(s.dir, k.name)
	if err := os.Rename(path, path+".1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return // it grows until it can be
	}
	s.used -= k.older
	k.newer, k.older = 0, k.newer
}

// shrink takes the older half from the source that has most.
func (s *store) shrink() bool {
	var most *kept
	for _, k := range s.sources {
		if most == nil || k.newer+k.older > most.newer+most.older {
			most = k
		}
	}
	if most == nil {
		return false
	}
	if most.older == 0 {
		s.rotate(most)
	}
	if err := os.Remove(logs.Path(s.dir, most.name) + ".1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	s.used -= most.older
	freed := most.older > 0
	most.older = 0
	return freed
}

func (s *store) close(k *kept) {
	if k.file != nil {
		k.file.Close()
		k.file = nil
	}
}

// release closes the file of a source that writes no more for now.
func (s *store) release(name string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.close(s.of(name))
}

// count changes the state of a source.
func (s *store) count(name string, change func(*logs.Status)) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	change(&s.of(name).status)
}

// status is that of each source.
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

// read opens the logs as they are now, when old is true, and gives each line that comes later to lines, when that is not nil.
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
			continue // it has no file
		}
		if c.Freeze() != nil {
			c.Close()
			continue
		}
		cursors = append(cursors, c)
	}
	return cursors
}

// missed is how many lines a reader has missed since it was last asked.
func (s *store) missed(lines chan<- logs.Entry) int64 {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	missed := s.readers[lines].missed
	s.readers[lines].missed = 0
	return missed
}

func (s *store) forget(lines chan<- logs.Entry) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.readers, lines)
}
