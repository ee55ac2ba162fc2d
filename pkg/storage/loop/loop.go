// Package loop attaches files to loop devices.
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

// showTimeout is how long the kernel may take to show a device.
const showTimeout = 10 * time.Second

// Number returns the number of a loop device: 3 for /dev/loop3.
func Number(device string) (int, error) {
	digits := strings.TrimPrefix(device, "/dev/loop")
	number, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || "/dev/loop"+strconv.FormatUint(number, 10) != device {
		return 0, fmt.Errorf("%s is not a loop device (/dev/loopN)", device)
	}
	return int(number), nil
}

// Attach attaches a file to a device, and creates the device if necessary.
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

// AttachFree attaches a file to the first free device, and returns its path.
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
		// Another process was faster.
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
	if err := disk.WaitFor(path, showTimeout); err != nil {
		return err
	}
	device, err := os.OpenFile(path, os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer device.Close()
	config := unix.LoopConfig{Fd: uint32(file.Fd())}
	// Shown by other programs, truncated.
	copy(config.Info.File_name[:len(config.Info.File_name)-1], file.Name())
	if err := unix.IoctlLoopConfigure(int(device.Fd()), &config); err != nil {
		return fmt.Errorf("attach %s to %s: %w", file.Name(), path, err)
	}
	return nil
}
