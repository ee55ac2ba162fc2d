// Command sysfs sets attributes of the kernel in /sys from the files in its /etc/sysfs.d, as
// LinuxKit's sysfs does. See docs/guest.md.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

func main() { os.Exit(run(os.Args[1:], "/etc/sysfs.d", "/sys")) }

// setting is one line "PATH = VALUE" of a file.
type setting struct {
	where, path, value string
	// isOptional: the line begins with "-", so that the attribute may be missing.
	isOptional bool
}

// run sets all attributes. An invalid file sets none; another failure does not stop the rest.
func run(args []string, dir, root string) (status int) {
	if len(args) > 0 {
		fmt.Fprintf(os.Stderr, "sysfs: error: unexpected argument %q: the attributes are those of %s\n", args[0], dir)
		return 1
	}
	settings, err := read(dir)
	if err != nil {
		fmt.Fprintf(os.Stderr, "sysfs: error: %v\n", err)
		return 1
	}
	// Below root also through the links of sysfs.
	inside, err := os.OpenRoot(root)
	if err != nil {
		fmt.Fprintf(os.Stderr, "sysfs: error: %v\n", err)
		return 1
	}
	defer inside.Close()
	for _, one := range settings {
		err := set(inside, one)
		if errors.Is(err, fs.ErrNotExist) && one.isOptional {
			continue
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "sysfs: error: %s: %v\n", one.where, err)
			status = 1
		}
	}
	return status
}

func set(root *os.Root, one setting) error {
	// Without O_CREATE: sysfs has only attributes of the kernel.
	file, err := root.OpenFile(one.path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(one.value)
	return errors.Join(err, file.Close())
}

// read reads the *.conf files in dir, by name.
func read(dir string) (all []setting, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.conf"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		number := 0
		for line := range strings.Lines(string(text)) {
			number++
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' {
				continue
			}
			one := setting{where: fmt.Sprintf("%s:%d", file, number)}
			one.path, one.isOptional = strings.CutPrefix(line, "-")
			path, value, found := strings.Cut(one.path, "=")
			one.path, one.value = strings.TrimSpace(path), strings.TrimSpace(value)
			if !found || one.value == "" || !filepath.IsLocal(one.path) {
				return nil, fmt.Errorf("%s: expected PATH = VALUE with a path below /sys", one.where)
			}
			all = append(all, one)
		}
	}
	return all, nil
}
