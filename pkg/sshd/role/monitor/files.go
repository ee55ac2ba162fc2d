package monitor

import (
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"

	"lkt/sshd/users"
)

// openAuthorizedKeys opens a user's file of authorized keys. It returns null if the file is
// missing, or if others could have written it: the file and its directories must belong to root or
// the user. It opens the file with the rights of the user, so that a link gives the user nothing
// more to read.
func openAuthorizedKeys(user users.User, null int) int {
	opened := make(chan int)
	go func() {
		// The thread has the user's rights to files, and ends with this goroutine.
		runtime.LockOSThread()
		fd := null
		if setGroups(user.AllGroups()) == nil && unix.Setfsgid(int(user.GID)) == nil && unix.Setfsuid(int(user.UID)) == nil {
			fd = openTrusted(user, null)
		}
		opened <- fd
	}()
	return <-opened
}

func openTrusted(user users.User, null int) int {
	directory := filepath.Join(user.Home, ".ssh")
	for _, path := range []string{user.Home, directory} {
		if !isTrusted(path, user, unix.S_IFDIR) {
			return null
		}
	}
	// A file that is not regular must not block the monitor.
	fd, err := unix.Open(filepath.Join(directory, "authorized_keys"), unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return null
	}
	var stat unix.Stat_t
	if unix.Fstat(fd, &stat) != nil || !isTrustedStat(stat, user, unix.S_IFREG) {
		unix.Close(fd)
		return null
	}
	return fd
}

func isTrusted(path string, user users.User, kind uint32) bool {
	var stat unix.Stat_t
	return unix.Stat(path, &stat) == nil && isTrustedStat(stat, user, kind)
}

func isTrustedStat(stat unix.Stat_t, user users.User, kind uint32) bool {
	return stat.Mode&unix.S_IFMT == kind && stat.Mode&0o022 == 0 && (stat.Uid == 0 || stat.Uid == user.UID)
}
