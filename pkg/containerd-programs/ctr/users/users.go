// Package users finds who a container runs as, in the layers of its image: what an image calls its user is a name, which only its
// own /etc/passwd knows. containerd's client would mount the image to look. It imports nothing but the standard library.
package users

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// User is a process's identity as the OCI runtime spec has it.
type User struct {
	UID, GID uint32
	Groups   []uint32
}

// Accounts are the files /etc/passwd and /etc/group of an image, empty where it has none.
type Accounts struct {
	Passwd, Group []byte
}

// NeedsAccounts is whether Find would look into an image's files: not for root, nor for two numbers.
func NeedsAccounts(user string) bool {
	uid, gid, both := strings.Cut(user, ":")
	return user != "" && !(both && isNumber(uid) && isNumber(gid))
}

// Find gives the user that USER, UID, USER:GROUP or any such mix names, root for "". As with Docker, a user without a group gets
// its own and all that list it; a UID that no line has gets group 0. A name that the files do not have is an error.
func Find(user string, files Accounts) (User, error) {
	if user == "" {
		return User{}, nil
	}
	name, group, hasGroup := strings.Cut(user, ":")
	var found User
	line := lineOf(files.Passwd, name, 4)
	switch {
	case line != nil:
		var err error
		if found.UID, err = number(line[2]); err != nil {
			return User{}, fmt.Errorf("the image's /etc/passwd: %w", err)
		}
		if found.GID, err = number(line[3]); err != nil {
			return User{}, fmt.Errorf("the image's /etc/passwd: %w", err)
		}
		name = line[0]
	case isNumber(name):
		var err error
		if found.UID, err = number(name); err != nil {
			return User{}, err
		}
	default:
		return User{}, fmt.Errorf("the image has no user %q", name)
	}
	if !hasGroup {
		found.Groups = groupsOf(files.Group, name)
		return found, nil
	}
	if line := lineOf(files.Group, group, 3); line != nil {
		group = line[2]
	} else if !isNumber(group) {
		return User{}, fmt.Errorf("the image has no group %q", group)
	}
	var err error
	found.GID, err = number(group)
	return found, err
}

// lineOf is the first line, divided, whose name or third field is key. A name goes before a number.
func lineOf(file []byte, key string, fields int) []string {
	for _, field := range []int{0, 2} {
		for line := range lines(file) {
			if parts := strings.Split(line, ":"); len(parts) >= fields && parts[field] == key {
				return parts
			}
		}
	}
	return nil
}

// groupsOf are the groups that list a user.
func groupsOf(file []byte, user string) []uint32 {
	var found []uint32
	for line := range lines(file) {
		parts := strings.Split(line, ":")
		if len(parts) < 4 || !slices.Contains(strings.Split(parts[3], ","), user) {
			continue
		}
		if gid, err := number(parts[2]); err == nil {
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

// number is one that the kernel takes: the last of 32 bits means none.
func number(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 1<<32-1 {
		return 0, fmt.Errorf("%q is no number of a user or a group", text)
	}
	return uint32(n), nil
}
