// Command sshd creates a host key and starts dropbear with public key authentication only. Under
// the name lkt-logs it shows logs: one file is much smaller than two.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"lkt/logs/command"
)

const (
	// keyPath is in a tmpfs unless the image mounts a persistent directory.
	keyPath = "/etc/dropbear/dropbear_ed25519_host_key"
	server  = "/usr/sbin/dropbear"
)

func main() {
	if filepath.Base(os.Args[0]) == "lkt-logs" {
		os.Exit(command.Main(os.Args[1:]))
	}
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "sshd: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	key, err := loadOrCreate(keyPath)
	if err != nil {
		return fmt.Errorf("host key: %w", err)
	}
	fmt.Printf("sshd: host key %s\n", fingerprint(key))
	if _, err := os.Stat("/root/.ssh/authorized_keys"); err != nil {
		fmt.Println("sshd: logins are impossible:", err)
	}
	args := []string{
		filepath.Base(server),
		"-F", "-E", // in the foreground, log to standard error
		"-s",       // no passwords
		"-j", "-k", // no port forwarding: logins are for this machine
		"-m", // no message of the day
		"-T", "3", "-I", "3600",
		"-P", "", // no pid file
		"-r", keyPath,
		"-p", "22",
	}
	return syscall.Exec(server, args, []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"})
}
