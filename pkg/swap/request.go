package main

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
)

// request is what the command line asks for.
type request struct {
	path       string
	size       int64 // of a file, in bytes
	encrypt    bool
	conditions []condition
}

// isDevice says whether swap is a disk rather than a file.
func (r request) isDevice() bool {
	return strings.HasPrefix(r.path, "/dev/")
}

func (r *request) parse(size string, rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("there is no argument %q", rest[0])
	case r.path == "":
		return errors.New("--path has to be there")
	case filepath.Clean(r.path) != r.path || !strings.HasPrefix(r.path, "/var/") && !r.isDevice():
		return fmt.Errorf("--path %s: swap is a file below /var, or a disk below /dev", r.path)
	case r.isDevice() && size != "":
		return fmt.Errorf("--size %s: all of %s becomes swap", size, r.path)
	case r.isDevice():
		return nil
	case size == "":
		return errors.New("--size has to be there")
	}
	var err error
	r.size, err = parseSize(size)
	if least := int64(minPages * pageSize); err == nil && r.size < least {
		err = fmt.Errorf("--size %s: swap has at least %d bytes", size, least)
	}
	return err
}

// parseSize reads a number of bytes, or of K, M or G, which are powers of 1024.
func parseSize(text string) (int64, error) {
	digits, shift := text, 0
	if i := strings.IndexAny(text, "KMG"); i >= 0 && i == len(text)-1 {
		digits, shift = text[:i], 10*(1+strings.IndexByte("KMG", text[i]))
	}
	number, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || number > math.MaxInt64>>shift {
		return 0, fmt.Errorf("%q is no size: a number, or one with K, M or G", text)
	}
	return int64(number) << shift, nil
}
