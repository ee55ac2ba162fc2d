package users

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
)

// maxAccountsSize is the largest accepted size of /etc/passwd or /etc/group.
const maxAccountsSize = 1 << 20

// The paths of the files, and the whiteouts that hide them: OCI image spec, "Whiteouts".
const (
	passwd         = "etc/passwd"
	group          = "etc/group"
	whiteoutPasswd = "etc/.wh.passwd"
	whiteoutGroup  = "etc/.wh.group"
	whiteoutEtc    = ".wh.etc"
	opaqueEtc      = "etc/.wh..wh..opq"
)

// Read returns the accounts of an image whose layers are tar streams, upper ones first. It does not
// follow symbolic links: a link counts as an empty file.
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

// readLayer returns the files of one layer, and the files of lower layers that it hides.
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
			text, err := io.ReadAll(io.LimitReader(archive, maxAccountsSize+1))
			if err != nil {
				return nil, nil, err
			}
			if len(text) > maxAccountsSize {
				return nil, nil, fmt.Errorf("the image's /%s exceeds 1 MiB", name)
			}
			files[name] = text
		case whiteoutPasswd:
			hidden = append(hidden, passwd)
		case whiteoutGroup:
			hidden = append(hidden, group)
		case whiteoutEtc, opaqueEtc:
			hidden = append(hidden, passwd, group)
		}
	}
}
