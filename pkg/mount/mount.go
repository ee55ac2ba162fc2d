package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"lkt/storage/disk"
)

// mount mounts the file system on a directory, which it creates. The mount is nosuid and nodev,
// like all file systems of the machine.
func (s source) mount(point string) error {
	kind, options := s.filesystem.Type, ""
	if strings.HasPrefix(kind, "ext") {
		// The ext4 driver handles ext2 and ext3 too. The superblock of an untrusted disk may say
		// that an error panics the machine.
		kind, options = "ext4", "errors=remount-ro"
	}
	if err := os.MkdirAll(point, 0o755); err != nil {
		return err
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV
	access := "writable"
	err := unix.Mount(s.path, point, kind, flags, options)
	if errors.Is(err, unix.EROFS) || errors.Is(err, unix.EACCES) {
		// A read-only disk or file system.
		access = "read-only"
		err = unix.Mount(s.path, point, kind, flags|unix.MS_RDONLY, options)
	}
	if err != nil {
		return fmt.Errorf("mount %s (%s) on %s: %w", s.path, s.filesystem, point, err)
	}
	fmt.Printf("mountie: %s (%s) is on %s, %s\n", s.path, s.filesystem, point, access)
	return nil
}

// link creates the links in /dev/disk/by-uuid.
func link(p disk.Prober, dirs disk.Dirs) error {
	paths, err := dirs.Volumes()
	if err != nil {
		return err
	}
	directory := filepath.Join(dirs.Dev, "disk/by-uuid")
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	for _, path := range paths {
		filesystem, err := disk.ProbePath(p, path)
		if err != nil || filesystem.UUID == "" {
			continue
		}
		target, err := filepath.Rel(directory, path)
		if err != nil {
			return err
		}
		// If two devices have one UUID, the first gets the link.
		if err := os.Symlink(target, filepath.Join(directory, filesystem.UUID)); err != nil && !os.IsExist(err) {
			return err
		}
	}
	return nil
}
