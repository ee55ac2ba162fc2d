// Package iso9660 reads files of an ISO image (ECMA-119) with the names that Linux would give them: those of Rock Ridge (SUSP 1.12, RRIP
// 1.12), else those of Joliet, else its own in lower case. The kernel need not mount what a stranger has made.
package iso9660

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

const (
	sector = 2048
	// The descriptors begin after the system area.
	firstDescriptor = 16
	maxDescriptors  = 16
	maxDirectory    = 1 << 20
	maxDepth        = 8
)

// Types of descriptors, and where their fields are (ECMA-119, 8.4 and 8.5).
const (
	primary       = 1
	supplementary = 2
	terminator    = 255

	atLabel     = 40
	atEscapes   = 88
	atBlockSize = 128
	atRoot      = 156
)

var errNotISO = errors.New("no ISO image")

// Image is one whose descriptors have been read.
type Image struct {
	// Label is the name of the volume.
	Label string

	reader io.ReaderAt
	trees  []tree
}

// tree is one of the directory trees of an image. They lead to the same files.
type tree struct {
	root   extent
	joliet bool
}

// extent is where the bytes of a file are.
type extent struct {
	block, size uint32
	directory   bool
}

// Open reads the descriptors.
func Open(reader io.ReaderAt) (*Image, error) {
	image := &Image{reader: reader}
	var joliet []tree
	for number := int64(firstDescriptor); number < firstDescriptor+maxDescriptors; number++ {
		var d [sector]byte
		if _, err := reader.ReadAt(d[:], number*sector); err != nil {
			return nil, fmt.Errorf("%w: %w", errNotISO, err)
		}
		if string(d[1:6]) != "CD001" {
			return nil, errNotISO
		}
		if d[0] == terminator {
			break
		}
		usable := binary.LittleEndian.Uint16(d[atBlockSize:]) == sector
		root := extentOf(d[atRoot:])
		root.directory = true
		switch {
		case d[0] == primary && usable && len(image.trees) == 0:
			image.Label = strings.TrimRight(string(d[atLabel:atLabel+32]), " \x00")
			image.trees = []tree{{root: root}}
		case d[0] == supplementary && usable && isJoliet(d[atEscapes:]) && joliet == nil:
			joliet = []tree{{root: root, joliet: true}}
		}
	}
	if len(image.trees) == 0 {
		return nil, errNotISO
	}
	image.trees = append(image.trees, joliet...)
	return image, nil
}

// isJoliet knows the escape sequences of UCS-2, levels 1 to 3 (Joliet specification, 4.1).
func isJoliet(escapes []byte) bool {
	return escapes[0] == '%' && escapes[1] == '/' && strings.IndexByte("@CE", escapes[2]) >= 0
}

// ReadFile is the file at a path with slashes. It fails with fs.ErrNotExist when no tree has it, and when it has more than max bytes.
func (i *Image) ReadFile(path string, max int) ([]byte, error) {
	for _, t := range i.trees {
		file, err := i.find(t, path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if file.directory {
			return nil, fmt.Errorf("%s: is a directory", path)
		}
		if int64(file.size) > int64(max) {
			return nil, fmt.Errorf("%s: more than %d bytes", path, max)
		}
		data, err := i.read(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return data, nil
	}
	return nil, &fs.PathError{Op: "read", Path: path, Err: fs.ErrNotExist}
}

func (i *Image) find(t tree, path string) (extent, error) {
	parts := strings.Split(path, "/")
	if len(parts) > maxDepth {
		return extent{}, errors.New("path too long")
	}
	at := t.root
	for _, name := range parts {
		if !at.directory {
			return extent{}, fs.ErrNotExist
		}
		if at.size > maxDirectory {
			return extent{}, fmt.Errorf("a directory of %d bytes", at.size)
		}
		data, err := i.read(at)
		if err != nil {
			return extent{}, err
		}
		if at, err = lookUp(data, name, t.joliet); err != nil {
			return extent{}, err
		}
	}
	return at, nil
}

func (i *Image) read(e extent) ([]byte, error) {
	data := make([]byte, e.size)
	n, err := i.reader.ReadAt(data, int64(e.block)*sector)
	if n == len(data) {
		return data, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return nil, err
}
