package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"lkt/getty/crypt"
)

const (
	maxShadow = 1 << 15
	maxHashes = 64
)

// readShadow returns the hashed passwords of the users in a file of shadow(5). Users without a
// password cannot log in.
func readShadow(path string) (hashes map[string]string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxShadow+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxShadow {
		return nil, fmt.Errorf("%s is longer than %d bytes", path, maxShadow)
	}
	hashes = map[string]string{}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) < 2 || fields[0] == "" || fields[1] == "" || strings.ContainsAny(fields[1][:1], "!*") {
			continue
		}
		if _, err := crypt.Parse(fields[1]); err != nil {
			return nil, fmt.Errorf("%s:%d: the password is %w\n  fix: hash it with openssl passwd -6", path, number, err)
		}
		if _, found := hashes[fields[0]]; !found && len(hashes) < maxHashes {
			hashes[fields[0]] = fields[1]
		}
	}
	return hashes, nil
}
