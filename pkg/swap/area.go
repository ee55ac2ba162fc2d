package main

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"lkt/storage/disk"
	"lkt/storage/drive"
	"lkt/storage/loop"
	"lkt/storage/mapper"
)

const (
	pageSize = 4096
	minPages = 10
	// The unencrypted start of an encrypted area. Its signature tells a later boot that the area
	// may be overwritten.
	clearBytes = 1 << 20
	mapping    = "swapfile"
)

// prepare creates the swap area and returns the path for swapon.
func prepare(p disk.Prober, r request) (string, error) {
	file, err := open(p, r)
	if err != nil {
		return "", err
	}
	defer file.Close()
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return "", err
	}
	if r.encrypt && size < clearBytes+minPages*pageSize {
		return "", fmt.Errorf("%s: encrypted swap needs at least %d bytes", r.path, clearBytes+minPages*pageSize)
	}
	if err := writeHeader(file, size); err != nil {
		return "", fmt.Errorf("%s: %w", r.path, err)
	}
	if !r.encrypt {
		return r.path, nil
	}
	device := r.path
	if !r.isDevice() {
		if device, err = loop.AttachFree(file); err != nil {
			return "", err
		}
	}
	// The device mapper cannot use a device that is open exclusively.
	if err := file.Close(); err != nil {
		return "", err
	}
	return encrypt(device)
}

// open opens a new, empty or existing swap area, and rejects anything else.
func open(p disk.Prober, r request) (*os.File, error) {
	if !r.isDevice() {
		return openFile(p, r)
	}
	if err := disk.IsBlockDevice(r.path); err != nil {
		return nil, err
	}
	d, err := drive.Open(r.path)
	if err != nil {
		return nil, err
	}
	if isSwap(p, d.File) {
		return d.File, nil
	}
	if err := d.CheckEmpty(p); err != nil {
		d.File.Close()
		return nil, err
	}
	return d.File, nil
}

func openFile(p disk.Prober, r request) (*os.File, error) {
	old, err := os.OpenFile(r.path, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, os.ErrNotExist) {
		return create(r)
	}
	if err != nil {
		return nil, err
	}
	info, err := old.Stat()
	if err == nil && (!info.Mode().IsRegular() || !isSwap(p, old)) {
		err = fmt.Errorf("%s exists and is not swap", r.path)
	}
	if err == nil && info.Size() == r.size && info.Mode().Perm() == 0o600 {
		return old, nil
	}
	old.Close()
	if err != nil {
		return nil, err
	}
	if err := os.Remove(r.path); err != nil {
		return nil, err
	}
	return create(r)
}

func create(r request) (*os.File, error) {
	file, err := os.OpenFile(r.path, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	// Swap files must not have holes.
	if err := unix.Fallocate(int(file.Fd()), 0, 0, r.size); err != nil {
		file.Close()
		return nil, errors.Join(fmt.Errorf("allocate %s with %d bytes: %w", r.path, r.size, err), os.Remove(r.path))
	}
	return file, nil
}

func isSwap(p disk.Prober, file *os.File) bool {
	found, err := p.Filesystem(file)
	return err == nil && found.Type == "swap"
}

// writeHeader writes the first page in the format of linux/swap.h.
func writeHeader(file *os.File, size int64) error {
	page := make([]byte, pageSize)
	binary.NativeEndian.PutUint32(page[1024:], 1)
	binary.NativeEndian.PutUint32(page[1028:], uint32(min(size/pageSize-1, math.MaxUint32)))
	uuid := page[1036:1052]
	if _, err := rand.Read(uuid); err != nil {
		return err
	}
	// A random UUID (RFC 9562).
	uuid[6], uuid[8] = uuid[6]&0x0f|0x40, uuid[8]&0x3f|0x80
	copy(page[pageSize-10:], "SWAPSPACE2")
	if _, err := file.WriteAt(page, 0); err != nil {
		return err
	}
	return file.Sync()
}

// encrypt maps a device with a random key that only the kernel keeps. The data is lost at shutdown.
func encrypt(device string) (string, error) {
	key := make([]byte, 64)
	if _, err := rand.Read(key); err != nil {
		return "", err
	}
	target, err := mapper.Crypt{Device: device, Offset: clearBytes / 512, Cipher: "aes-xts-plain64", Key: key}.Target()
	if err != nil {
		return "", err
	}
	path, err := mapper.Create(mapping, "CRYPT-PLAIN-"+mapping, target)
	if err != nil {
		return "", err
	}
	file, err := os.OpenFile(path, os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer file.Close()
	return path, writeHeader(file, int64(target.Sectors)*512)
}

// swapOn calls swapon(2).
func swapOn(path string) error {
	text, err := unix.BytePtrFromString(path)
	if err != nil {
		return err
	}
	_, _, errno := unix.Syscall(unix.SYS_SWAPON, uintptr(unsafe.Pointer(text)), 0, 0)
	runtime.KeepAlive(text)
	switch errno {
	case 0:
		return nil
	case unix.ENOSYS:
		return errors.New("the kernel does not support swap")
	case unix.EINVAL:
		return fmt.Errorf("%s: the file system does not support swap: %w", path, errno)
	}
	return fmt.Errorf("%s: swapon: %w", path, errno)
}
