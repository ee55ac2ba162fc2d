package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// hostnamePath is where metadata (LinuxKit's and ours) stores the host name. A container that may
// write there can set the name without a capability.
const hostnamePath = "/run/config/hostname"

func setHostname() {
	name := hostname()
	if err := unix.Sethostname([]byte(name)); err != nil {
		step("host name %q: %v", name, err)
	}
}

// hostname returns the image's host name, or a name with a MAC address that distinguishes machines
// of the same image.
func hostname() string {
	if data, err := os.ReadFile("/etc/hostname"); err == nil {
		if name := strings.TrimSpace(string(data)); name != "" {
			return name
		}
	}
	const interfaces = "/sys/class/net"
	entries, err := os.ReadDir(interfaces)
	if err != nil {
		step("network interfaces: %v", err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(interfaces, e.Name(), "address"))
		mac := strings.ReplaceAll(strings.TrimSpace(string(data)), ":", "")
		if err == nil && len(mac) == 12 && e.Name() != "lo" {
			return "lkt-" + mac
		}
	}
	return "lkt"
}

// applyHostname sets the host name that a container has stored, if any.
func applyHostname() {
	name, err := readHostname(hostnamePath)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err == nil {
		if now, _ := os.Hostname(); now == name {
			return
		}
		err = unix.Sethostname([]byte(name))
	}
	if err != nil {
		step("host name: %v", err)
		return
	}
	step("host name %s", name)
}

// readHostname reads a file that a container has written, so it trusts nothing. It follows no
// symbolic link, does not block, limits the size, and validates the name.
func readHostname(path string) (string, error) {
	const limit = 64 // HOST_NAME_MAX
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(file, limit+2))
	if err != nil {
		return "", err
	}
	name := strings.TrimSpace(string(data))
	if len(name) > limit || !isHostname(name) {
		return "", fmt.Errorf("%s: invalid host name %q", path, name)
	}
	return name, nil
}

// isHostname reports whether name is a host name (RFC 1123 section 2.1).
func isHostname(name string) bool {
	for _, label := range strings.Split(name, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !(c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') {
				return false
			}
		}
	}
	return true
}
