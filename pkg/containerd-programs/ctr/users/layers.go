package users

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
)

// most is how large a file of accounts may be.
const most = 1 << 20

// The paths, and what an upper layer has in the place of what it takes away: OCI image spec, "Whiteouts".
const (
	passwd      = "etc/passwd"
	group       = "etc/group"
	noPasswd    = "etc/.wh.passwd"
	noGroup     = "etc/.wh.group"
	noDirectory = ".wh.etc"
	emptied     = "etc/.wh..wh..opq"
)

// Read gives the accounts of an image whose layers are tar streams, the upper ones first. It does not follow links: an image
// that has one there has no accounts by it.
func Read(layers []func() (io.ReadCloser, error)) (Accounts, error) {
	found := map[string][]byte{}
	gone := map[string]bool{}
	for _, open := range layers {
		stream, err := open()
		if err != nil {
			return Accounts{}, err
		}
		here, hidden, err := readLayer(stream)
		stream.Close()
		if err != nil {
			return Accounts{}, err
		}
		for name, text := range here {
			if !gone[name] {
				found[name], gone[name] = text, true
			}
		}
		for _, name := range hidden {
			gone[name] = true
		}
		if gone[passwd] && gone[group] {
			break
		}
	}
	return Accounts{Passwd: found[passwd], Group: found[group]}, nil
}

// readLayer gives the files of one layer, and what of the layers below cannot be seen through it.
func readLayer(stream io.Reader) (files map[string][]byte, hidden []string, err error) {
	files = map[string][]byte{}
	for archive := tar.NewReader(stream); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files, hidden, nil
		}
		if err != nil {
			return nil, nil, err
		}
		switch name := path.Clean("/" + header.Name)[1:]; name {
		case passwd, group:
			files[name] = nil
			if header.Typeflag != tar.TypeReg {
				continue
			}
			text, err := io.ReadAll(io.LimitReader(archive, most+1))
			if err != nil {
				return nil, nil, err
			}
			if len(text) > most {
				return nil, nil, fmt.Errorf("the image's /%s has more than 1 MiB", name)
			}
			files[name] = text
		case noPasswd:
			hidden = append(hidden, passwd)
		case noGroup:
			hidden = append(hidden, group)
		case noDirectory, emptied:
			hidden = append(hidden, passwd, group)
		}
	}
}
