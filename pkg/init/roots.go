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

// wholeRoots lists the file systems of an image whose root is made of such, once each is found whole. An image that the kernel
// unpacked as it is has none.
func wholeRoots() ([]roots.Root, error) {
	file, err := os.Open(roots.Path)
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
	// All processors have something to do: this is most of the time before the root is there.
	results := make(chan error, len(list))
	turns := make(chan struct{}, runtime.GOMAXPROCS(0))
	for _, root := range list {
		go func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			results <- root.Verify("")
		}()
	}
	for range list {
		if err := <-results; err != nil {
			return nil, err
		}
	}
	step("%d roots are whole", len(list))
	return list, nil
}

// mountRoots puts the root together at newRoot.
func mountRoots(list []roots.Root) error {
	loadModules("load-root")
	for _, root := range list {
		target := newRoot
		if root.Target != "" {
			target += "/" + root.Target
		}
		// The file itself, without a loop device between: CONFIG_EROFS_FS_BACKED_BY_FILE, and a ramfs.
		err := unix.Mount("/"+root.File, target, "erofs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, "")
		if errors.Is(err, unix.ENOTBLK) {
			err = fmt.Errorf("%w: a file can be mounted with CONFIG_EROFS_FS_BACKED_BY_FILE and rootfstype=ramfs", err)
		}
		if err != nil {
			return &os.PathError{Op: "mount", Path: "/" + root.File, Err: err}
		}
	}
	step("roots")
	return nil
}
