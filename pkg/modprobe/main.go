// Command modprobe loads kernel modules and their dependencies. It accepts the arguments of
// modprobe(8) that matter at boot. See docs/guest.md.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"unsafe"
)

const usage = "modprobe [-qv] MODULE [PARAMETER=VALUE …], or modprobe [-qv] -a MODULE …"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "modprobe: error: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	root, err := modulesDir()
	if err != nil {
		return err
	}
	t, err := openTree(root, "/sys/module")
	if err != nil {
		return err
	}
	var failures []error
	for _, name := range o.names {
		err := t.load(name, o.parameters, func(path, parameters string) error {
			if o.verbose {
				fmt.Printf("insmod %s %s\n", path, parameters)
			}
			return insert(path, parameters)
		})
		// Like modprobe(8): -q hides unknown names, but not errors of the kernel.
		if err != nil && !(o.quiet && errors.Is(err, errNone)) {
			failures = append(failures, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(failures...)
}

type options struct {
	quiet, verbose bool
	names          []string
	parameters     string
}

func parse(args []string) (o options, err error) {
	all := false
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "--all":
			all = true
		case "--quiet":
			o.quiet = true
		case "--verbose":
			o.verbose = true
		case "--use-blacklist":
		default:
			for _, c := range args[0][1:] {
				switch c {
				case 'a':
					all = true
				case 'q':
					o.quiet = true
				case 'v':
					o.verbose = true
				case 'b':
				default:
					return o, fmt.Errorf("unknown option %q\n  fix: %s", args[0], usage)
				}
			}
		}
		args = args[1:]
	}
	if len(args) == 0 {
		return o, errors.New("no module given\n  fix: " + usage)
	}
	if all {
		o.names = args
		return o, nil
	}
	o.names, o.parameters = args[:1], strings.Join(args[1:], " ")
	for _, parameter := range args[1:] {
		if !strings.Contains(parameter, "=") {
			return o, fmt.Errorf("%q is not PARAMETER=VALUE\n  fix: use -a to load several modules", parameter)
		}
	}
	return o, nil
}

// modulesDir returns the directory of the running kernel's modules.
func modulesDir() (string, error) {
	var name syscall.Utsname
	if err := syscall.Uname(&name); err != nil {
		return "", err
	}
	var release []byte
	for _, c := range name.Release {
		if c == 0 {
			break
		}
		release = append(release, byte(c))
	}
	return "/lib/modules/" + string(release), nil
}

// finitModule is the system call number, which package syscall lacks.
var finitModule = map[string]uintptr{"amd64": 313, "arm64": 273}

// moduleInitCompressedFile makes the kernel decompress the file (MODULE_INIT_COMPRESSED_FILE).
const moduleInitCompressedFile = 4

// insert loads a module into the kernel, which reads the file itself.
func insert(path, parameters string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	text, err := syscall.BytePtrFromString(parameters)
	if err != nil {
		return err
	}
	flags := 0
	if !strings.HasSuffix(path, ".ko") {
		flags = moduleInitCompressedFile
	}
	_, _, errno := syscall.Syscall(finitModule[runtime.GOARCH], file.Fd(), uintptr(unsafe.Pointer(text)), uintptr(flags))
	switch {
	case errno == 0, errno == syscall.EEXIST:
		return nil
	case errno == syscall.EPERM:
		return fmt.Errorf("%s: %w\n  fix: load it in an onboot container; PID 1 disables module loading after those", path, errno)
	}
	return fmt.Errorf("%s: %w", path, errno)
}
