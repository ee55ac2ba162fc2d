// Command test-agent runs commands in services for lkt test. Each line that it reads from the
// second serial port is a request, and it answers with a line. lkt test adds it to the image that
// it boots; no other image contains it.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

const (
	port = "/dev/ttyS1"
	// hello is the first line, after which requests are read.
	hello = "lkt-test-agent 1\n"
)

func init() {
	// Only this thread enters the mount namespace of PID 1.
	runtime.LockOSThread()
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "test-agent: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	file, err := openPort(port)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := enterMachine(); err != nil {
		return err
	}
	if _, err := file.WriteString(hello); err != nil {
		return err
	}
	return serve(file, file, execute)
}

// openPort opens a serial port for bytes as they are.
func openPort(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	settings := unix.Termios{Cflag: unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B115200}
	settings.Cc[unix.VMIN] = 1
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &settings); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("set %s to raw mode: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// enterMachine gives this thread the root directory of PID 1, with the OCI runtime.
func enterMachine() error {
	namespace, err := os.Open("/proc/1/ns/mnt")
	if err != nil {
		return err
	}
	defer namespace.Close()
	root, err := os.Open("/proc/1/root")
	if err != nil {
		return err
	}
	defer root.Close()
	// A thread that shares its directories with others cannot change the namespace.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("enter the mount namespace of PID 1: %w", err)
	}
	if err := errors.Join(unix.Fchdir(int(root.Fd())), unix.Chroot(".")); err != nil {
		return fmt.Errorf("enter the root directory of PID 1: %w", err)
	}
	return nil
}
