// Command binfmt registers interpreters of programs for other architectures, or in other formats,
// with the kernel. It accepts the arguments of LinuxKit's binfmt. See docs/guest.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	err := run(os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "binfmt: error: %v\n", err)
		os.Exit(1)
	}
}

// directories are those of binfmt.d(5); a file in a later one replaces those of its name.
var directories = []string{"/usr/lib/binfmt.d", "/etc/binfmt.d"}

// run registers the formats whose names are arguments, or all. It registers none if a file is
// invalid or a name unknown; a format that the kernel rejects does not stop the rest.
func run(args []string, out io.Writer) error {
	dirs, mount := directories, "/binfmt_misc"
	flags := flag.NewFlagSet("binfmt", flag.ContinueOnError)
	flags.Func("dir", "`directory` of files in place of /usr/lib/binfmt.d and /etc/binfmt.d", func(dir string) error {
		dirs = []string{dir}
		return nil
	})
	flags.StringVar(&mount, "mount", mount, "`directory` of the kernel's binfmt_misc")
	if err := flags.Parse(args); err != nil {
		return err
	}
	all, err := read(dirs)
	if err != nil {
		return err
	}
	if all, err = choose(all, flags.Args()); err != nil {
		return err
	}
	var failures []error
	for _, one := range all {
		if err := one.register(mount); err != nil {
			failures = append(failures, fmt.Errorf("%s: %s: %w", one.where, one.name, err))
			continue
		}
		fmt.Fprintf(out, "binfmt: %s is interpreted by %s\n", one.name, one.interpreter)
	}
	return errors.Join(failures...)
}

// read returns the formats in the *.conf files of directories, by name of the file.
func read(dirs []string) (all []format, err error) {
	files := map[string]string{}
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, entry := range entries {
			if strings.HasSuffix(entry.Name(), ".conf") {
				files[entry.Name()] = filepath.Join(dir, entry.Name())
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		text, err := os.ReadFile(files[name])
		if err != nil {
			return nil, err
		}
		found, err := parse(files[name], string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// architectures are the names in QEMU of architectures that OCI calls otherwise.
var architectures = map[string]string{"arm64": "aarch64", "loong64": "loongarch64"}

// choose returns the formats with these names, or all without names. QEMU's formats also have the
// names of their architectures.
func choose(all []format, names []string) (chosen []format, err error) {
	if len(names) == 0 {
		return all, nil
	}
	for _, name := range names {
		qemu := "qemu-" + name
		if other, found := architectures[name]; found {
			qemu = "qemu-" + other
		}
		at := slices.IndexFunc(all, func(one format) bool { return one.name == name || one.name == qemu })
		if at < 0 {
			known := make([]string, len(all))
			for i, one := range all {
				known[i] = strings.TrimPrefix(one.name, "qemu-")
			}
			return nil, fmt.Errorf("no format %q\n  fix: name one of %s", name, strings.Join(known, ", "))
		}
		chosen = append(chosen, all[at])
	}
	return chosen, nil
}
