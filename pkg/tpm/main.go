// Command tpm uses the TPM 2.0 of the machine: it reads registers, random numbers and the event log
// of the firmware, and seals a secret to registers. See docs/guest.md.
package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"lkt/sandbox"
)

//go:embed roles.json
var rolesFile []byte

// setup is what the confined process does, and the descriptor of the TPM, or -1.
type setup struct {
	Request request
	Device  int
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "tpm: error: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	var s setup
	roles, role, err := sandbox.Load("tpm", rolesFile, &s)
	if err != nil {
		return err
	}
	if role != nil {
		if err := role.Enter(); err != nil {
			return err
		}
		return s.Request.execute(tpm{device(s.Device)}, os.Stdout)
	}
	if s.Request, err = parse(os.Args[1:]); err != nil {
		return err
	}
	if s.Device, err = openDevice(devicePath); err != nil {
		return err
	}
	tool := roles["tool"].Available()
	if s.Request.Source != "" {
		tool.Read = append(tool.Read, s.Request.Source)
	}
	for _, path := range []string{s.Request.Sealed, s.Request.Target} {
		if path == "" {
			continue
		}
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			return fmt.Errorf("%w\n  fix: bind the directory", err)
		}
		tool.Write = append(tool.Write, filepath.Dir(path))
	}
	return tool.Exec(s, s.Device)
}

// devicePath is the TPM without the kernel's resource manager: one program opens it at a time.
const devicePath = "/dev/tpm0"

// deviceLimit is how long to wait for another program to close the TPM.
const deviceLimit = time.Minute

// openDevice opens the TPM. The descriptor stays blocking: a read waits for the answer.
func openDevice(path string) (int, error) {
	for end := time.Now().Add(deviceLimit); ; time.Sleep(50 * time.Millisecond) {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
		switch {
		case err == nil:
			return fd, nil
		case errors.Is(err, unix.EBUSY) && time.Now().Before(end), errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV):
			return -1, fmt.Errorf("the machine has no TPM, or the kernel no driver for it: %s: %w", path, err)
		default:
			return -1, fmt.Errorf("%s: %w", path, err)
		}
	}
}
