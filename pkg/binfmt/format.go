package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// format is a line of a binfmt.d(5) file: a format of programs, and its interpreter.
type format struct {
	where, name, interpreter string
	// line is what the kernel's file `register` takes.
	line string
}

const (
	// maxLine is the kernel's limit, MAX_REGISTER_LENGTH.
	maxLine = 1920
	// fields are those between delimiters: name, type, offset, magic, mask, interpreter, flags.
	fields = 7
)

// parse parses the lines of a file.
func parse(file, text string) (all []format, err error) {
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		one, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, number, err)
		}
		one.where = fmt.Sprintf("%s:%d", file, number)
		all = append(all, one)
	}
	return all, nil
}

// parseLine parses `:name:type:offset:magic:mask:interpreter:flags`, where the first byte is the
// delimiter. The kernel checks offset, magic and mask.
func parseLine(line string) (format, error) {
	if len(line) > maxLine {
		return format{}, fmt.Errorf("exceeds %d bytes", maxLine)
	}
	if strings.IndexFunc(line, func(c rune) bool { return c < ' ' || c == 0x7f }) >= 0 {
		return format{}, errors.New("has a control character")
	}
	parts := strings.Split(line[1:], line[:1])
	if len(parts) != fields {
		return format{}, errors.New("must be :name:type:offset:magic:mask:interpreter:flags")
	}
	one := format{name: parts[0], interpreter: parts[5], line: line}
	switch one.name {
	// A format is also the name of a file beside these two.
	case "", ".", "..", "register", "status":
		return format{}, fmt.Errorf("invalid name %q", one.name)
	}
	switch {
	case strings.Contains(one.name, "/"):
		return format{}, fmt.Errorf("invalid name %q", one.name)
	case parts[1] != "M" && parts[1] != "E":
		return format{}, fmt.Errorf("type %q is neither M nor E", parts[1])
	case !filepath.IsAbs(one.interpreter):
		return format{}, fmt.Errorf("interpreter %q is not an absolute path", one.interpreter)
	case strings.Trim(parts[6], "POCF") != "":
		return format{}, fmt.Errorf("flags %q are not of P, O, C and F", parts[6])
	}
	return one, nil
}

// register gives a format to the kernel, in place of one of the same name.
func (f format) register(mount string) error {
	err := write(filepath.Join(mount, "register"), f.line)
	if errors.Is(err, fs.ErrExist) {
		if err := write(filepath.Join(mount, f.name), "-1"); err != nil {
			return err
		}
		err = write(filepath.Join(mount, "register"), f.line)
	}
	return err
}

// write writes to a file of the kernel, which takes the text as a whole.
func write(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}
