// Command verity-init is PID 1 of an initramfs. It makes a disk a dm-verity device, whose root hash
// must be signed, mounts it, and executes its /init.
//
// The initramfs has two files: /verity/cmdline, the command line that lkt build writes for the
// disk, and /verity/signature, a PKCS#7 signature of its root hash, which the kernel verifies.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"lkt/storage/disk"
	"lkt/storage/mapper"
)

const (
	cmdlinePath   = "/verity/cmdline"
	signaturePath = "/verity/signature"
	newRoot       = "/mnt"
	deviceName    = "root"
	// keyName is the description of the key that holds the signature.
	keyName = "lkt:root"
	// diskTimeout is how long the kernel may take to find the disk.
	diskTimeout = 30 * time.Second
)

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "verity-init: must run as PID 1")
		os.Exit(1)
	}
	// The kernel panics and follows panic=.
	fmt.Fprintf(os.Stderr, "verity-init: %v\n", bootRoot())
	os.Exit(1)
}

// bootRoot returns only if it fails.
func bootRoot() error {
	// Keys belong to a thread.
	runtime.LockOSThread()
	cmdline, err := os.ReadFile(cmdlinePath)
	if err != nil {
		return err
	}
	signature, err := os.ReadFile(signaturePath)
	if err != nil {
		return err
	}
	device, target, err := signedTarget(string(cmdline), keyName)
	if err != nil {
		return fmt.Errorf("%s: %w", cmdlinePath, err)
	}
	if err := unix.Mount("dev", "/dev", "devtmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, ""); err != nil {
		return &os.PathError{Op: "mount", Path: "/dev", Err: err}
	}
	if err := disk.WaitFor(device, diskTimeout); err != nil {
		return fmt.Errorf("%s: %w", device, err)
	}
	if _, err := unix.AddKey("user", keyName, signature, unix.KEY_SPEC_THREAD_KEYRING); err != nil {
		return fmt.Errorf("add the signature as a key: %w", err)
	}
	path, err := mapper.Create(deviceName, "", target)
	if errors.Is(err, unix.ENOKEY) {
		return fmt.Errorf("no key of the firmware has signed the root hash: %w", err)
	}
	if err != nil {
		return err
	}
	if err := unix.Mount(path, newRoot, "erofs", unix.MS_RDONLY, ""); err != nil {
		return &os.PathError{Op: "mount", Path: newRoot, Err: err}
	}
	if err := sealInitramfs(); err != nil {
		return err
	}
	return switchRoot()
}

// sealInitramfs makes the initramfs read-only. The kernel executes whatever is in this file system,
// also what is written to it later.
func sealInitramfs() error {
	if err := unix.Unmount("/dev", unix.MNT_DETACH); err != nil {
		return &os.PathError{Op: "unmount", Path: "/dev", Err: err}
	}
	if err := unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return &os.PathError{Op: "remount", Path: "/", Err: err}
	}
	return nil
}

// switchRoot makes newRoot "/" and executes its /init.
func switchRoot() error {
	if err := os.Chdir(newRoot); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return &os.PathError{Op: "move", Path: newRoot, Err: err}
	}
	if err := unix.Chroot("."); err != nil {
		return &os.PathError{Op: "chroot", Path: newRoot, Err: err}
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	return &os.PathError{Op: "execute", Path: "/init", Err: unix.Exec("/init", []string{"/init"}, os.Environ())}
}
