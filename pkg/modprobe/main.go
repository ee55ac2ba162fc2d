// Command modprobe loads kernel modules and their dependencies. It accepts the arguments of
// modprobe(8) that matter at boot. See docs/guest.md.
package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"strings"

	"lkt/modules"
	"lkt/sandbox"
)

//go:embed roles.json
var rolesFile []byte

const usage = "modprobe [-qv] MODULE [PARAMETER=VALUE …], or modprobe [-qv] -a MODULE …"

func main() {
	args := os.Args[1:]
	err := confine(&args)
	if err == nil {
		err = run(args)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "modprobe: error: %v\n", err)
		os.Exit(1)
	}
}

// confine begins this program anew without the means to do anything but load modules. It returns
// there, with the first arguments.
func confine(args *[]string) error {
	roles, role, err := sandbox.Load("modprobe", rolesFile, args)
	if err != nil {
		return err
	}
	if role == nil {
		return roles["loader"].Available().Exec(args)
	}
	return role.Enter()
}

func run(args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	root, err := modules.Dir()
	if err != nil {
		return err
	}
	t, err := modules.Open(root, "/sys/module")
	if err != nil {
		return err
	}
	var failures []error
	for _, name := range o.names {
		err := t.Load(name, o.parameters, func(path, parameters string) error {
			if o.verbose {
				fmt.Printf("insmod %s %s\n", path, parameters)
			}
			return modules.Insert(path, parameters)
		})
		// Like modprobe(8): -q hides unknown names, but not errors of the kernel.
		if err != nil && !(o.quiet && errors.Is(err, modules.ErrNone)) {
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
