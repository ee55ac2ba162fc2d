package logs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"
)

// Cursor reads the log of one source from its oldest line. At the end of the log, Next may be
// called again later: the cursor follows the log into a new file. It misses lines if the file is
// replaced twice between two calls.
type Cursor struct {
	Source string

	path  string
	files []*os.File
	// remaining is how many bytes of the last file to read, or negative for all.
	remaining int64
	// buffer has the bytes that were read; those before parsed have been returned.
	buffer []byte
	parsed int
	last   time.Time
}

const chunkSize = 16 << 10

// OpenCursor opens the log of a source, from the first line of its older file if older is true,
// otherwise of its newer file. After a rotation, the newer file is missing until the next line.
func OpenCursor(dir, source string, older bool) (*Cursor, error) {
	c := &Cursor{Source: source, path: Path(dir, source), remaining: -1}
	for range 10 { // until the log is not replaced between the two opens
		current, err := open(c.path)
		if older && errors.Is(err, fs.ErrNotExist) {
			before, olderErr := open(c.path + ".1")
			if olderErr != nil {
				return nil, err
			}
			c.files = []*os.File{before}
			return c, nil
		}
		if err != nil {
			return nil, err
		}
		c.files = []*os.File{current}
		if !older {
			return c, nil
		}
		before, err := open(c.path + ".1")
		if errors.Is(err, fs.ErrNotExist) {
			return c, nil
		}
		if err != nil {
			current.Close()
			return nil, err
		}
		if !isSame(before, current) {
			c.files = []*os.File{before, current}
			return c, nil
		}
		before.Close()
		current.Close()
	}
	return nil, errors.New(c.path + ": replaced too often")
}

func open(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		file.Close()
		return nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	}
	return file, nil
}

func isSame(a, b *os.File) bool {
	one, err := a.Stat()
	two, err2 := b.Stat()
	return err == nil && err2 == nil && os.SameFile(one, two)
}

// Freeze limits the cursor to the current end of the log, provided that no line is being written.
func (c *Cursor) Freeze() error {
	info, err := c.files[len(c.files)-1].Stat()
	if err == nil {
		c.remaining = info.Size()
	}
	return err
}

// SkipToEnd skips all existing lines.
func (c *Cursor) SkipToEnd() error {
	for len(c.files) > 1 {
		c.nextFile()
	}
	_, err := c.files[0].Seek(0, io.SeekEnd)
	return err
}

// Close closes the files.
func (c *Cursor) Close() {
	for _, file := range c.files {
		file.Close()
	}
}

// Next returns the next line, or false at the end of the log. A line without a time gets the time
// of the previous line.
func (c *Cursor) Next() (Entry, bool) {
	for {
		if end := bytes.IndexByte(c.buffer[c.parsed:], '\n'); end >= 0 {
			line := c.buffer[c.parsed : c.parsed+end]
			c.parsed += end + 1
			entry, good := ParseLine(c.Source, line)
			if !good {
				entry = Entry{c.last, c.Source, string(line)}
			}
			c.last = entry.Time
			return entry, true
		}
		if !c.read() {
			return Entry{}, false
		}
	}
}

// read reads more of the log, and reports whether there was more.
func (c *Cursor) read() bool {
	c.buffer = append(c.buffer[:0], c.buffer[c.parsed:]...)
	c.parsed = 0
	if len(c.buffer) > 2*MaxLineLength { // not a log of this program
		c.buffer = append(c.buffer, '\n')
		return true
	}
	for {
		chunk := make([]byte, chunkSize)
		if len(c.files) == 1 && c.remaining >= 0 {
			chunk = chunk[:min(int64(len(chunk)), c.remaining)]
		}
		n, _ := c.files[0].Read(chunk)
		if n > 0 {
			c.buffer = append(c.buffer, chunk[:n]...)
			if len(c.files) == 1 && c.remaining >= 0 {
				c.remaining -= int64(n)
			}
			return true
		}
		switch {
		case len(c.files) > 1:
			c.nextFile()
		case c.remaining >= 0 || !c.follow():
			return false
		}
	}
}

func (c *Cursor) nextFile() {
	c.files[0].Close()
	c.files = c.files[1:]
}

// follow appends the file that has replaced the current one, and reports whether there is one. The
// current file is read to its end first.
func (c *Cursor) follow() bool {
	file, err := open(c.path)
	if err != nil {
		return false
	}
	if isSame(file, c.files[0]) {
		file.Close()
		return false
	}
	c.files = append(c.files, file)
	return true
}

// Sources returns the names of the logs in a directory.
func Sources(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		name, found := strings.CutSuffix(entry.Name(), Suffix)
		if found && entry.Type().IsRegular() && IsName(name) {
			names = append(names, name)
		}
	}
	return names, nil
}
