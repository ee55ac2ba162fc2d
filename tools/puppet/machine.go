package main

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// sendSignal sends a signal to the processes whose command line begins with a text. "init" is PID
// 1.
func sendSignal(args []string) error {
	number, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	if args[1] == "init" {
		return syscall.Kill(1, syscall.Signal(number))
	}
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	found := errors.New("no such process")
	for _, path := range paths {
		text, err := os.ReadFile(path)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil || pid == os.Getpid() || !strings.HasPrefix(strings.ReplaceAll(string(text), "\x00", " "), args[1]) {
			continue
		}
		if err := syscall.Kill(pid, syscall.Signal(number)); err != nil {
			return err
		}
		found = nil
	}
	return found
}

// await waits until a file exists, or does not.
func await(path string, exists bool) error {
	for ; ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(path); (err == nil) == exists {
			return nil
		}
	}
}

// suspend suspends a device of the device mapper: from then on it answers nothing.
func suspend(args []string) error {
	control, err := os.OpenFile("/dev/mapper/control", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer control.Close()
	// linux/dm-ioctl.h: struct dm_ioctl, and DM_DEV_SUSPEND with the flag to suspend without a
	// freeze of the file system, which would write its data first.
	const size, deviceSuspend, suspendFlag, skipLockFS = 312, 0xc138fd06, 1 << 1, 1 << 10
	request := make([]byte, size)
	for i, number := range []uint32{4, 0, 0, size, size, 0, 0, suspendFlag | skipLockFS} {
		binary.NativeEndian.PutUint32(request[4*i:], number)
	}
	copy(request[48:], args[0])
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, control.Fd(), deviceSuspend, uintptr(unsafe.Pointer(&request[0])))
	if errno != 0 {
		return errno
	}
	return nil
}
