// Package mapper creates device mapper devices by the interface of linux/dm-ioctl.h, version 4.
package mapper

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lkt/storage/disk"
)

const (
	control   = "/dev/mapper/control"
	directory = "/dev/mapper"
	// showTimeout is how long the kernel may take to show a device.
	showTimeout = 10 * time.Second

	headerSize = int(unsafe.Sizeof(unix.DmIoctl{}))
	targetSize = int(unsafe.Sizeof(unix.DmTargetSpec{}))
)

// Target is the single target of a device.
type Target struct {
	Kind       string // "crypt", "verity"
	Sectors    uint64 // of 512 bytes
	Parameters string
	ReadOnly   bool
}

// Path returns the path of a mapped device.
func Path(name string) string {
	return filepath.Join(directory, name)
}

// CheckName returns an error unless name is a valid device name.
func CheckName(name string) error {
	if name == "" || name == "." || name == ".." || name == "control" || len(name) > 127 ||
		strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c == '/' || c >= 0x7f }) {
		return fmt.Errorf("invalid device mapper name %q", name)
	}
	return nil
}

// Create creates a device and a link to it, as udev does, and returns the path of the link. The
// UUID tells other programs which program created it.
func Create(name, uuid string, target Target) (string, error) {
	if err := CheckName(name); err != nil {
		return "", err
	}
	file, err := os.OpenFile(control, os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("device mapper: %w", err)
	}
	defer file.Close()
	created, err := call(file, unix.DM_DEV_CREATE, request(name, uuid, nil))
	if errors.Is(err, unix.EBUSY) {
		return "", fmt.Errorf("%s already exists", Path(name))
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", Path(name), err)
	}
	path, err := start(file, name, target, minor(created.Dev))
	if err != nil {
		_, _ = call(file, unix.DM_DEV_REMOVE, request(name, "", nil))
		return "", fmt.Errorf("%s: %w", Path(name), err)
	}
	return path, nil
}

// Remove removes a device that [Create] created.
func Remove(name string) error {
	file, err := os.OpenFile(control, os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := call(file, unix.DM_DEV_REMOVE, request(name, "", nil)); err != nil {
		return fmt.Errorf("%s: remove: %w", Path(name), err)
	}
	return os.Remove(Path(name))
}

func start(file *os.File, name string, target Target, minor uint64) (string, error) {
	if _, err := call(file, unix.DM_TABLE_LOAD, request(name, "", &target)); err != nil {
		return "", fmt.Errorf("load table: %w", err)
	}
	if _, err := call(file, unix.DM_DEV_SUSPEND, request(name, "", nil)); err != nil {
		return "", err
	}
	node := fmt.Sprintf("dm-%d", minor)
	if err := disk.WaitFor(filepath.Join(filepath.Dir(directory), node), showTimeout); err != nil {
		return "", err
	}
	path := Path(name)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	return path, os.Symlink(filepath.Join("..", node), path)
}

// request returns a header with the target's table, if any. It asks the kernel to wipe its copy,
// because a table may contain a key.
func request(name, uuid string, target *Target) []byte {
	b := make([]byte, headerSize)
	if target != nil {
		// The kernel expects targets at multiples of eight bytes.
		length := (targetSize + len(target.Parameters) + 1 + 7) / 8 * 8
		b = make([]byte, headerSize+length)
		spec := b[headerSize:]
		binary.NativeEndian.PutUint64(spec[8:], target.Sectors)
		binary.NativeEndian.PutUint32(spec[20:], uint32(length))
		copy(spec[24:39], target.Kind)
		copy(spec[targetSize:], target.Parameters)
	}
	for i, number := range []uint32{4, 0, 0, uint32(len(b)), uint32(headerSize)} {
		binary.NativeEndian.PutUint32(b[4*i:], number)
	}
	if target != nil {
		binary.NativeEndian.PutUint32(b[20:], 1)
	}
	flags := uint32(unix.DM_SECURE_DATA_FLAG)
	if target != nil && target.ReadOnly {
		flags |= unix.DM_READONLY_FLAG
	}
	binary.NativeEndian.PutUint32(b[28:], flags)
	copy(b[48:175], name)
	copy(b[176:304], uuid)
	return b
}

func call(file *os.File, command uintptr, request []byte) (unix.DmIoctl, error) {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, file.Fd(), command, uintptr(unsafe.Pointer(&request[0])))
	var answer unix.DmIoctl
	if errno == 0 {
		answer.Dev = binary.NativeEndian.Uint64(request[40:])
	}
	clear(request)
	runtime.KeepAlive(request)
	if errno != 0 {
		return answer, errno
	}
	return answer, nil
}

// minor decodes the minor number of the kernel's huge_encode_dev.
func minor(dev uint64) uint64 {
	return dev&0xff | dev>>12&^0xff
}
