package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"lkt/dm-crypt/luks"
	"lkt/sandbox"
)

//go:embed roles.json
var rolesFile []byte

// The descriptors of the process that unlocks.
const (
	resultEnd sandbox.Conn = 3 + iota
	deviceFile
	secretFile
)

// runUnlock parses the header in this process, which has the role.
func runUnlock(role sandbox.Role) error {
	device, secrets := os.NewFile(uintptr(deviceFile), "device"), os.NewFile(uintptr(secretFile), "secret")
	if err := role.Enter(); err != nil {
		return err
	}
	secret, err := io.ReadAll(io.LimitReader(secrets, maxKey))
	if err != nil {
		return err
	}
	message, err := luks.EncodeResult(luks.Open(device, secret))
	if err != nil {
		return err
	}
	return resultEnd.Send(message)
}

// unlock reads and unlocks a LUKS volume in a process without capabilities, because the header may
// be of an attacker who could write to the disk.
func unlock(roles sandbox.Roles) func(device *os.File, secret []byte) (luks.Opened, error) {
	return func(device *os.File, secret []byte) (luks.Opened, error) {
		ours, theirs, err := sandbox.NewPair()
		if err != nil {
			return luks.Opened{}, err
		}
		// The same device, but only for reading.
		readable, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", device.Fd()), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return luks.Opened{}, fmt.Errorf("open for reading: %w", err)
		}
		var pipe [2]int
		if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
			return luks.Opened{}, err
		}
		if err := roles["unlock"].Start(struct{}{}, int(theirs), readable, pipe[0]); err != nil {
			return luks.Opened{}, err
		}
		out := os.NewFile(uintptr(pipe[1]), "secret")
		go func() {
			_, _ = out.Write(secret)
			out.Close()
		}()
		message, err := ours.Receive(make([]byte, sandbox.MaxMessage))
		if errors.Is(err, sandbox.ErrClosed) {
			return luks.Opened{}, errors.New("the process that reads the LUKS header ended: it may need more memory or time than its limits")
		}
		if err != nil {
			return luks.Opened{}, err
		}
		return luks.DecodeResult(message)
	}
}
