package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// issuePath is the greeting of the image, which its logins may also show.
	issuePath = "/etc/issue"
	maxIssue  = 64 << 10
)

// greet writes /etc/issue, if the image has it, to each console of the kernel, as LinuxKit's init
// does.
func greet() {
	file, err := os.Open(issuePath)
	if err != nil {
		return
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxIssue))
	if err != nil {
		step("%v", err)
	}
	active, err := os.ReadFile("/sys/class/tty/console/active")
	if err != nil {
		active = []byte("console")
	}
	for _, name := range strings.Fields(string(active)) {
		writeConsole(filepath.Join("/dev", name), text)
	}
}

// writeConsole writes to a terminal, but does not wait long for one without a reader.
func writeConsole(path string, text []byte) {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	for len(text) > 0 {
		n, err := unix.Write(fd, text)
		switch {
		case err == nil:
			text = text[n:]
		case err == unix.EAGAIN:
			if ready, err := unix.Poll(poll, 2000); ready == 0 && err == nil {
				return
			}
		case err != unix.EINTR:
			return
		}
	}
}
