package actuator

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// OpenFile opens a file for values of the network, and creates it if it does not exist.
func OpenFile(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return -1, fmt.Errorf("%s: %w", path, err)
	}
	return fd, nil
}

// writeFiles writes the files with values of all links.
func (a *actuator) writeFiles() error {
	var names, hosts, times strings.Builder
	a.writeResolv(&names)
	for _, l := range a.links {
		if l.lease == nil {
			continue
		}
		if l.lease.HostName != "" && hosts.Len() == 0 {
			hosts.WriteString(l.lease.HostName + "\n")
		}
		for _, server := range l.lease.TimeServers {
			fmt.Fprintf(&times, "server %s\n", server)
		}
	}
	for _, file := range []struct {
		what string
		fd   int
		text string
	}{{"name servers", a.Files.Resolv, names.String()}, {"host name", a.Files.HostName, hosts.String()}, {"time servers", a.Files.TimeServers, times.String()}} {
		// The last values stay.
		if file.fd == 0 || file.text == "" {
			continue
		}
		if err := writeInPlace(file.fd, file.text); err != nil {
			return fmt.Errorf("%s: %w", file.what, err)
		}
	}
	return nil
}

// writeInPlace replaces the content of a file, because containers bind its inode.
func writeInPlace(fd int, text string) error {
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

// writeResolv writes resolv.conf(5): the domains and name servers of all links, IPv4 first.
func (a *actuator) writeResolv(b *strings.Builder) {
	const (
		maxServers = 3   // as many as the C library reads
		maxSearch  = 256 // the bytes of a line that it reads
	)
	var domains, servers []string
	add := func(all *[]string, value string) {
		if !slices.Contains(*all, value) {
			*all = append(*all, value)
		}
	}
	for _, l := range a.links {
		if l.lease == nil {
			continue
		}
		for _, server := range l.lease.NameServers {
			add(&servers, server.String())
		}
		search := l.lease.Search
		if len(search) == 0 && l.lease.Domain != "" {
			search = []string{l.lease.Domain}
		}
		for _, name := range search {
			add(&domains, name)
		}
	}
	for _, l := range a.links {
		if l.config == nil {
			continue
		}
		for _, server := range l.config.Servers {
			if server.IsLinkLocalUnicast() {
				server = server.WithZone(l.name)
			}
			add(&servers, server.String())
		}
		for _, name := range l.config.Domains {
			add(&domains, name)
		}
	}
	if len(servers) == 0 {
		return
	}
	line := "search"
	for _, name := range domains {
		if len(line)+1+len(name) < maxSearch {
			line += " " + name
		}
	}
	if len(domains) > 0 {
		b.WriteString(line + "\n")
	}
	for _, server := range servers[:min(len(servers), maxServers)] {
		fmt.Fprintf(b, "nameserver %s\n", server)
	}
}

// rememberAddress writes the address to the link's file, for the next start.
func (l *link) rememberAddress(address netip.Addr) {
	if l.file == 0 {
		return
	}
	text := "none\n"
	if address.IsValid() {
		text = address.String() + "\n"
	}
	// Without it the next start asks for any address.
	_ = writeInPlace(l.file, text)
}
