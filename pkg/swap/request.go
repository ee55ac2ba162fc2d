package main

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
)

// request has the arguments of the command line.
type request struct {
	path       string
	size       int64 // of a file, in bytes
	encrypt    bool
	conditions []condition
}

// isDevice reports whether the swap area is a disk instead of a file.
func (r request) isDevice() bool {
	return strings.HasPrefix(r.path, "/dev/")
}

func (r *request) parse(size string, rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case r.path == "":
		return errors.New("--path is required")
	case filepath.Clean(r.path) != r.path || !strings.HasPrefix(r.path, "/var/") && !r.isDevice():
		return fmt.Errorf("--path %s: must be a file in /var or a disk in /dev", r.path)
	case r.isDevice() && size != "":
		return fmt.Errorf("--size %s: not allowed for a disk: swap uses all of %s", size, r.path)
	case r.isDevice():
		return nil
	case size == "":
		return errors.New("--size is required")
	}
	var err error
	r.size, err = parseSize(size)
	if minSize := int64(minPages * pageSize); err == nil && r.size < minSize {
		err = fmt.Errorf("--size %s: swap needs at least %d bytes", size, minSize)
	}
	return err
}

// parseSize parses a number of bytes, optionally with K, M or G (powers of 1024).
func parseSize(text string) (int64, error) {
	digits, shift := text, 0
	if i := strings.IndexAny(text, "KMG"); i >= 0 && i == len(text)-1 {
		digits, shift = text[:i], 10*(1+strings.IndexByte("KMG", text[i]))
	}
	number, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || number > math.MaxInt64>>shift {
		return 0, fmt.Errorf("invalid size %q: must be a number, optionally with K, M or G", text)
	}
	return int64(number) << shift, nil
}
