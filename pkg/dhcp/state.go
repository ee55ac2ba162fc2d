package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"lkt/dhcp/lease"
	"lkt/dhcp/role/actuator"
	"lkt/dhcp/setup"
)

const secretSize = 32

// machineSecret returns the secret from which this machine makes its IPv6 addresses. It is the same
// at each boot if there is a directory for state or a UUID from the firmware, else the same until
// the next boot.
func machineSecret(state string) ([]byte, error) {
	if state != "" {
		return storedSecret(filepath.Join(state, "secret"))
	}
	for _, path := range []string{"/sys/class/dmi/id/product_uuid", "/proc/sys/kernel/random/boot_id"} {
		text, err := os.ReadFile(path)
		if id := strings.TrimSpace(string(text)); err == nil && strings.Trim(id, "0-") != "" {
			hash := sha256.Sum256([]byte(id))
			return hash[:], nil
		}
	}
	return nil, errors.New("no boot ID")
}

// storedSecret reads the secret of a file, which it creates the first time.
func storedSecret(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	file := os.NewFile(uintptr(fd), path)
	defer file.Close()
	secret := make([]byte, secretSize)
	if _, err := io.ReadFull(file, secret); err == nil {
		return secret, nil
	}
	if _, err := unix.Getrandom(secret, 0); err != nil {
		return nil, fmt.Errorf("getrandom: %w", err)
	}
	if _, err := file.WriteAt(secret, 0); err != nil {
		return nil, err
	}
	return secret, file.Sync()
}

// openLeases opens the files with the addresses of the interfaces, and takes those of the last
// boot.
func openLeases(state string, links []setup.Interface) ([]int, error) {
	var files []int
	for at := range links {
		fd, err := actuator.OpenFile(filepath.Join(state, "address-"+links[at].Name))
		if err != nil {
			return nil, err
		}
		files = append(files, fd)
		text := make([]byte, 64)
		n, err := unix.Pread(fd, text, 0)
		if err != nil || links[at].Previous.IsValid() {
			continue
		}
		if a, err := netip.ParseAddr(strings.TrimSpace(string(text[:n]))); err == nil && lease.IsUnicast(a) {
			links[at].Previous = a
		}
	}
	return files, nil
}
