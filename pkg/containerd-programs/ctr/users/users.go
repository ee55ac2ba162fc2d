// Package users resolves the user of a container from the layers of its image: only the image's
// /etc/passwd has the names. containerd's client would mount the image to read it. The package
// imports only the standard library.
package users

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// User is the user of a process in the OCI runtime spec.
type User struct {
	UID, GID uint32
	Groups   []uint32
}

// Accounts are the contents of /etc/passwd and /etc/group of an image, empty for missing files.
type Accounts struct {
	Passwd, Group []byte
}

// NeedsAccounts reports whether Find needs the image's files. It does not for root or for two
// numbers.
func NeedsAccounts(user string) bool {
	uid, gid, both := strings.Cut(user, ":")
	return user != "" && !(both && isNumber(uid) && isNumber(gid))
}

// Find resolves USER, UID, USER:GROUP or a mix of these; "" is root. As with Docker, a user without
// a group gets its primary group and all groups that list it. A UID without a line in /etc/passwd
// gets group 0. An unknown name is an error.
func Find(user string, files Accounts) (User, error) {
	if user == "" {
		return User{}, nil
	}
	name, group, hasGroup := strings.Cut(user, ":")
	var found User
	line := lookup(files.Passwd, name, 4)
	switch {
	case line != nil:
		var err error
		if found.UID, err = parseID(line[2]); err != nil {
			return User{}, fmt.Errorf("the image's /etc/passwd: %w", err)
		}
		if found.GID, err = parseID(line[3]); err != nil {
			return User{}, fmt.Errorf("the image's /etc/passwd: %w", err)
		}
		name = line[0]
	case isNumber(name):
		var err error
		if found.UID, err = parseID(name); err != nil {
			return User{}, err
		}
	default:
		return User{}, fmt.Errorf("the image has no user %q", name)
	}
	if !hasGroup {
		found.Groups = supplementaryGroups(files.Group, name)
		return found, nil
	}
	if line := lookup(files.Group, group, 3); line != nil {
		group = line[2]
	} else if !isNumber(group) {
		return User{}, fmt.Errorf("the image has no group %q", group)
	}
	var err error
	found.GID, err = parseID(group)
	return found, err
}

// lookup returns the fields of the first line whose name or ID is key. A name takes precedence over
// an ID.
func lookup(file []byte, key string, fields int) []string {
	for _, field := range []int{0, 2} {
		for line := range lines(file) {
			if parts := strings.Split(line, ":"); len(parts) >= fields && parts[field] == key {
				return parts
			}
		}
	}
	return nil
}

// supplementaryGroups returns the IDs of the groups that list the user.
func supplementaryGroups(file []byte, user string) []uint32 {
	var found []uint32
	for line := range lines(file) {
		parts := strings.Split(line, ":")
		if len(parts) < 4 || !slices.Contains(strings.Split(parts[3], ","), user) {
			continue
		}
		if gid, err := parseID(parts[2]); err == nil {
			found = append(found, gid)
		}
	}
	return found
}

func lines(file []byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for scanner := bufio.NewScanner(bytes.NewReader(file)); scanner.Scan(); {
			if !yield(scanner.Text()) {
				return
			}
		}
	}
}

func isNumber(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// parseID parses a user or group ID. The largest 32-bit number is invalid: the kernel uses it for
// "no ID".
func parseID(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 1<<32-1 {
		return 0, fmt.Errorf("invalid user or group ID %q", text)
	}
	return uint32(n), nil
}
