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

// givenHostname is where LinuxKit's metadata leaves the name of the machine, and ours. A container that may write there needs no
// capability for it.
const givenHostname = "/run/config/hostname"

func setHostname() {
	name := hostname()
	if err := unix.Sethostname([]byte(name)); err != nil {
		step("host name %q: %v", name, err)
	}
}

// hostname is what the image says, else a name that tells machines of the same image apart.
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

// adoptHostname takes the name that a container has left, if it has.
func adoptHostname() {
	name, err := readHostname(givenHostname)
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

// readHostname trusts nothing of what a container has written: it follows no link, does not wait, reads no more than a name may have,
// and takes nothing but a name.
func readHostname(path string) (string, error) {
	const most = 64 // HOST_NAME_MAX
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a file", path)
	}
	data, err := io.ReadAll(io.LimitReader(file, most+2))
	if err != nil {
		return "", err
	}
	name := strings.TrimSpace(string(data))
	if len(name) > most || !isHostname(name) {
		return "", fmt.Errorf("%s has %q, which is none", path, name)
	}
	return name, nil
}

// isHostname: RFC 1123, 2.1.
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
