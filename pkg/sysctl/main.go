// Command sysctl sets the kernel's parameters as the files of /etc/sysctl.d say, in the order of their names.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

func main() {
	failures, err := applyAll("/etc/sysctl.d", "/proc/sys")
	if err != nil {
		fmt.Fprintf(os.Stderr, "sysctl: %v\n", err)
		os.Exit(1)
	}
	if failures > 0 {
		os.Exit(1)
	}
}

// applyAll sets everything it can and returns how much it could not set. A parameter this kernel does not have is
// only noted. Nothing is set when a file cannot be understood.
func applyAll(dir, root string) (failures int, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.conf"))
	if err != nil {
		return 0, err
	}
	slices.Sort(files)
	var settings []setting
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return 0, err
		}
		more, err := parse(path, string(text))
		if err != nil {
			return 0, err
		}
		settings = append(settings, more...)
	}
	for _, s := range settings {
		err := s.apply(root)
		switch {
		case err == nil:
		case errors.Is(err, fs.ErrNotExist):
			fmt.Printf("%s: %s is not known to this kernel\n", s.place, s.key)
		case s.optional:
			fmt.Printf("%s: %v\n", s.place, err)
		default:
			fmt.Fprintf(os.Stderr, "%s: %v\n", s.place, err)
			failures++
		}
	}
	return failures, nil
}
