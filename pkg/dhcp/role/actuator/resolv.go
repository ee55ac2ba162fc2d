package actuator

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"lkt/dhcp/lease"
)

// OpenResolv opens the file for name servers, and creates it if it does not exist.
func OpenResolv(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return -1, fmt.Errorf("%s: %w", path, err)
	}
	return fd, nil
}

// writeResolv writes the name servers in place, because containers bind the file's inode.
func writeResolv(fd int, l *lease.Lease) error {
	text := resolv(l)
	old := make([]byte, len(text)+1)
	if n, err := unix.Pread(fd, old, 0); err == nil && string(old[:n]) == text {
		return nil
	}
	// Write before truncating, so that a reader never sees an empty file.
	if _, err := unix.Pwrite(fd, []byte(text), 0); err != nil {
		return err
	}
	return unix.Ftruncate(fd, int64(len(text)))
}

func resolv(l *lease.Lease) string {
	const most = 3 // as many as the C library reads
	var b strings.Builder
	if l.Domain != "" {
		fmt.Fprintf(&b, "search %s\n", l.Domain)
	}
	for _, server := range l.NameServers[:min(len(l.NameServers), most)] {
		fmt.Fprintf(&b, "nameserver %s\n", server)
	}
	return b.String()
}
