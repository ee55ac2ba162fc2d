// Package iso9660 reads files of an ISO image (ECMA-119) under the names that Linux shows. Those
// are the names of Rock Ridge (SUSP 1.12, RRIP 1.12), else those of Joliet, else the plain ones in
// lower case. The kernel need not mount an untrusted image.
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
	// The descriptors follow the system area.
	firstDescriptor = 16
	maxDescriptors  = 16
	maxDirectory    = 1 << 20
	maxDepth        = 8
)

// Descriptor types, and offsets in descriptors (ECMA-119 sections 8.4 and 8.5).
const (
	primary       = 1
	supplementary = 2
	terminator    = 255

	atLabel     = 40
	atEscapes   = 88
	atBlockSize = 128
	atRoot      = 156
)

var errNotISO = errors.New("not an ISO image")

// Image is an open ISO image.
type Image struct {
	// Label is the volume identifier.
	Label string

	reader io.ReaderAt
	trees  []tree
}

// tree is one of the directory trees of an image. All trees share the files.
type tree struct {
	root   extent
	joliet bool
}

// extent is the location of a file's data.
type extent struct {
	block, size uint32
	directory   bool
}

// Open reads the descriptors of an image.
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

// isJoliet recognizes the escape sequences of UCS-2, levels 1 to 3 (Joliet specification, 4.1).
func isJoliet(escapes []byte) bool {
	return escapes[0] == '%' && escapes[1] == '/' && strings.IndexByte("@CE", escapes[2]) >= 0
}

// ReadFile returns the file at a slash-separated path. It fails with fs.ErrNotExist if no tree has
// it, and if it has more than max bytes.
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
			return extent{}, fmt.Errorf("directory of %d bytes is too large", at.size)
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
