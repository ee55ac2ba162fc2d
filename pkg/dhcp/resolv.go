package main

import (
	"fmt"
	"os"
	"strings"

	"lkt/dhcp/engine"
)

// writeResolv writes the name servers into the file at path. The file keeps its inode: containers have it bound.
func writeResolv(path string, lease *engine.Lease) error {
	text := resolv(lease)
	if old, err := os.ReadFile(path); err == nil && string(old) == text {
		return nil
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	// The new content first: a reader never sees an empty file.
	if _, err := file.WriteAt([]byte(text), 0); err != nil {
		return err
	}
	return file.Truncate(int64(len(text)))
}

func resolv(lease *engine.Lease) string {
	const most = 3 // what the C library reads
	var b strings.Builder
	if lease.Domain != "" {
		fmt.Fprintf(&b, "search %s\n", lease.Domain)
	}
	for _, server := range lease.NameServers[:min(len(lease.NameServers), most)] {
		fmt.Fprintf(&b, "nameserver %s\n", server)
	}
	return b.String()
}
