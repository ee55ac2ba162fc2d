package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"lkt/init/roots"
)

// readRoots returns the file systems that are the root of the image, or nil if the root is the
// initramfs, which is the working directory.
func readRoots() ([]roots.Root, error) {
	file, err := os.Open(roots.Path[1:])
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	list, err := roots.Read(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", roots.Path, err)
	}
	return list, nil
}

// verifyRoots verifies the file systems of readRoots, and returns them.
func verifyRoots() ([]roots.Root, error) {
	list, err := readRoots()
	if err != nil || list == nil {
		return nil, err
	}
	// In parallel: this takes most of the time before the root is mounted.
	results := make(chan error, len(list))
	semaphore := make(chan struct{}, runtime.GOMAXPROCS(0))
	for _, root := range list {
		go func() {
			semaphore <- struct{}{}
			defer func() { <-semaphore }()
			results <- root.Verify("")
		}()
	}
	for range list {
		if err := <-results; err != nil {
			return nil, err
		}
	}
	step("%d roots verified", len(list))
	return list, nil
}

// mountRoot mounts a file system of the initramfs, which is the working directory.
func mountRoot(root roots.Root, target string, flags uintptr) error {
	// Mount the file itself, without a loop device: this needs CONFIG_EROFS_FS_BACKED_BY_FILE and a
	// ramfs.
	err := unix.Mount(root.File, target, "erofs", unix.MS_RDONLY|flags, "")
	if errors.Is(err, unix.ENOTBLK) {
		err = fmt.Errorf("%w: mounting a file needs CONFIG_EROFS_FS_BACKED_BY_FILE and rootfstype=ramfs", err)
	}
	if err != nil {
		return &os.PathError{Op: "mount", Path: "/" + root.File, Err: err}
	}
	return nil
}
