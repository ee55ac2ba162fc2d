// Package loop makes block devices of files.
package loop

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lkt/storage/disk"
)

const control = "/dev/loop-control"

// patience is how long the kernel may take to show a device.
const patience = 10 * time.Second

// Number is that of a device: 3 for /dev/loop3.
func Number(device string) (int, error) {
	digits := strings.TrimPrefix(device, "/dev/loop")
	number, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || "/dev/loop"+strconv.FormatUint(number, 10) != device {
		return 0, fmt.Errorf("%s is no loop device: /dev/loop and a number", device)
	}
	return int(number), nil
}

// Attach puts a file behind a device, which is made if the kernel does not have it yet.
func Attach(device string, file *os.File) error {
	number, err := Number(device)
	if err != nil {
		return err
	}
	if _, err := os.Stat(device); errors.Is(err, os.ErrNotExist) {
		if _, err := command(unix.LOOP_CTL_ADD, number); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("%s: %w", device, err)
		}
	}
	return attach(device, file)
}

// AttachFree puts a file behind the first device that has none, and says which that is.
func AttachFree(file *os.File) (string, error) {
	for {
		number, err := command(unix.LOOP_CTL_GET_FREE, 0)
		if err != nil {
			return "", err
		}
		device := fmt.Sprintf("/dev/loop%d", number)
		err = attach(device, file)
		if !errors.Is(err, unix.EBUSY) {
			return device, err
		}
		// Somebody else was faster.
	}
}

func command(request uint, argument int) (int, error) {
	file, err := os.OpenFile(control, os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	number, _, errno := unix.Syscall(unix.SYS_IOCTL, file.Fd(), uintptr(request), uintptr(argument))
	if errno != 0 {
		return 0, fmt.Errorf("%s: %w", control, errno)
	}
	return int(number), nil
}

func attach(path string, file *os.File) error {
	if err := disk.WaitFor(path, patience); err != nil {
		return err
	}
	device, err := os.OpenFile(path, os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer device.Close()
	config := unix.LoopConfig{Fd: uint32(file.Fd())}
	// What other programs show: as much of the path as there is room for.
	copy(config.Info.File_name[:len(config.Info.File_name)-1], file.Name())
	if err := unix.IoctlLoopConfigure(int(device.Fd()), &config); err != nil {
		return fmt.Errorf("%s behind %s: %w", file.Name(), path, err)
	}
	return nil
}
