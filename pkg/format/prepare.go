package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"lkt/format/disk"
	"lkt/format/table"
)

// patience is how long the kernel may take to show a partition.
const patience = 10 * time.Second

// prepare writes the partition table and makes the file system.
func prepare(d *drive, r request) error {
	defer d.file.Close()
	sector, err := d.sectorSize()
	if err != nil {
		return fmt.Errorf("%s: size of a sector: %w", d.path, err)
	}
	var id table.Identity
	for _, random := range [][]byte{id.Disk[:], id.Partition[:]} {
		if _, err := rand.Read(random); err != nil {
			return err
		}
	}
	layout, err := table.Make(r.table, table.Disk{Size: d.size, Sector: sector}, id)
	if err != nil {
		return fmt.Errorf("%s: %w", d.path, err)
	}
	say("%s becomes one partition with %s", d.path, r)
	if err := d.write(layout); err != nil {
		return err
	}
	if err := d.announce(layout); err != nil {
		return fmt.Errorf("%s: the kernel does not take the new partition: %w", d.path, err)
	}
	partition := disk.Partition(d.path, 1)
	if err := wait(partition, layout.Size); err != nil {
		return err
	}
	// The partition cannot be opened exclusively as long as the disk is.
	if err := d.file.Close(); err != nil {
		return err
	}
	if err := runTool(r.command(partition), makers[r.kind].unprivileged); err != nil {
		return err
	}
	say("%s has %s", partition, r)
	return nil
}

// wait is over when the partition has the size that the table gives it: before, its path may lead to one of the old table.
func wait(path string, size int64) error {
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		found, err := sizeOf(path)
		if err == nil && found == size {
			return nil
		}
		if time.Now().After(end) {
			if err == nil {
				err = fmt.Errorf("%s has %d bytes, not %d", path, found, size)
			}
			return fmt.Errorf("the kernel does not show the new partition: %w", err)
		}
	}
}

func sizeOf(path string) (int64, error) {
	if err := disk.IsBlockDevice(path); err != nil {
		return 0, err
	}
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return file.Seek(0, io.SeekEnd)
}

// runTool runs a program, without any capability if it is unprivileged.
func runTool(command []string, unprivileged bool) error {
	result := make(chan error)
	go func() {
		// What this thread gives up it does not get back: it ends with the goroutine.
		runtime.LockOSThread()
		if unprivileged {
			if err := giveUp(); err != nil {
				result <- err
				return
			}
		}
		child := exec.Command(command[0], command[1:]...)
		child.Env = []string{"PATH=/usr/sbin"}
		if output, err := child.CombinedOutput(); err != nil {
			result <- fmt.Errorf("%s: %w: %s", command[0], err, output)
			return
		}
		result <- nil
	}()
	return <-result
}

// giveUp takes all capabilities from this thread. With no_new_privs, a program that it starts does not get them back for
// being root.
func giveUp() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("give up capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	return nil
}
