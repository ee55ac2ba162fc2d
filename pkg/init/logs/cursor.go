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

// Cursor reads the log of one source from its oldest line on. At its end it can be asked again later: it follows the log into
// a new file. What was replaced twice between two questions is missed.
type Cursor struct {
	Source string

	path  string
	files []*os.File
	// left is how much of the last file is read, all of it when negative.
	left int64
	// kept has what was read and not yet given, from parsed on.
	kept   []byte
	parsed int
	last   time.Time
}

const pieceSize = 16 << 10

// OpenCursor opens the log of a source, from its first line when older is true, and else from the first of its newer file.
func OpenCursor(dir, source string, older bool) (*Cursor, error) {
	c := &Cursor{Source: source, path: Path(dir, source), left: -1}
	for range 10 { // until the log is not replaced between the two
		current, err := open(c.path)
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
	return nil, errors.New(c.path + ": it is replaced again and again")
}

func open(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		file.Close()
		return nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("not a file")}
	}
	return file, nil
}

func isSame(a, b *os.File) bool {
	one, err := a.Stat()
	two, err2 := b.Stat()
	return err == nil && err2 == nil && os.SameFile(one, two)
}

// Freeze ends the cursor where the log ends now, if nobody writes meanwhile.
func (c *Cursor) Freeze() error {
	info, err := c.files[len(c.files)-1].Stat()
	if err == nil {
		c.left = info.Size()
	}
	return err
}

// SkipToEnd leaves out what the log has now.
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

// Next gives the next line. There is none at the end of the log. A line that has no time is as old as the one before it.
func (c *Cursor) Next() (Entry, bool) {
	for {
		if end := bytes.IndexByte(c.kept[c.parsed:], '\n'); end >= 0 {
			line := c.kept[c.parsed : c.parsed+end]
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

// read reads more, and says whether there was any.
func (c *Cursor) read() bool {
	c.kept = append(c.kept[:0], c.kept[c.parsed:]...)
	c.parsed = 0
	if len(c.kept) > 2*LongestLine { // not a log of ours
		c.kept = append(c.kept, '\n')
		return true
	}
	for {
		piece := make([]byte, pieceSize)
		if len(c.files) == 1 && c.left >= 0 {
			piece = piece[:min(int64(len(piece)), c.left)]
		}
		n, _ := c.files[0].Read(piece)
		if n > 0 {
			c.kept = append(c.kept, piece[:n]...)
			if len(c.files) == 1 && c.left >= 0 {
				c.left -= int64(n)
			}
			return true
		}
		switch {
		case len(c.files) > 1:
			c.nextFile()
		case c.left >= 0 || !c.follow():
			return false
		}
	}
}

func (c *Cursor) nextFile() {
	c.files[0].Close()
	c.files = c.files[1:]
}

// follow goes on to the file that took the place of the one that is read. What was written to that one meanwhile comes
// before: it is read again until it has no more.
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

// Sources are the names of the logs in a directory.
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
