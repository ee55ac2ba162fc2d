// Package users reads the users that may log in.
package users

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// MaxUsers is the maximum number of users that may log in.
const MaxUsers = 32

// User is a user of passwd(5).
type User struct {
	Name        string
	UID, GID    uint32
	Groups      []uint32
	Home, Shell string
}

// AllGroups returns the user's group and the supplementary groups.
func (u User) AllGroups() []uint32 { return append([]uint32{u.GID}, u.Groups...) }

// Load returns the users of passwd(5) and group(5) files that may log in: those named, or all if
// none is named. Users without a shell are left out.
func Load(passwd, group string, named []string) ([]User, error) {
	file, err := os.Open(passwd)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	groups, err := os.Open(group)
	if err != nil {
		return nil, err
	}
	defer groups.Close()
	users, err := parse(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", passwd, err)
	}
	users = slices.DeleteFunc(users, func(u User) bool {
		return !u.mayLogIn() || len(named) > 0 && !slices.Contains(named, u.Name)
	})
	for _, name := range named {
		if !slices.ContainsFunc(users, func(u User) bool { return u.Name == name }) {
			return nil, fmt.Errorf("%s: no user %q with a shell", passwd, name)
		}
	}
	if len(users) > MaxUsers {
		return nil, fmt.Errorf("%s: more than %d users with a shell", passwd, MaxUsers)
	}
	return users, addGroups(users, groups)
}

func parse(r io.Reader) ([]User, error) {
	var users []User
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) != 7 || fields[0] == "" || len(fields[0]) > 64 {
			continue
		}
		uid, err := strconv.ParseUint(fields[2], 10, 32)
		if err != nil {
			continue
		}
		gid, err := strconv.ParseUint(fields[3], 10, 32)
		if err != nil {
			continue
		}
		// The first entry of a name counts.
		if slices.ContainsFunc(users, func(u User) bool { return u.Name == fields[0] }) {
			continue
		}
		shell := fields[6]
		if shell == "" {
			shell = "/bin/sh"
		}
		users = append(users, User{Name: fields[0], UID: uint32(uid), GID: uint32(gid), Home: fields[5], Shell: shell})
	}
	return users, lines.Err()
}

func (u User) mayLogIn() bool {
	return !slices.Contains([]string{"false", "nologin", "sync"}, path.Base(u.Shell)) && path.IsAbs(u.Home) && path.IsAbs(u.Shell)
}

func addGroups(users []User, r io.Reader) error {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) != 4 {
			continue
		}
		gid, err := strconv.ParseUint(fields[2], 10, 32)
		if err != nil {
			continue
		}
		members := strings.Split(fields[3], ",")
		for i := range users {
			if slices.Contains(members, users[i].Name) && len(users[i].Groups) < 64 {
				users[i].Groups = append(users[i].Groups, uint32(gid))
			}
		}
	}
	return lines.Err()
}
