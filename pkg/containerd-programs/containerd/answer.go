package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/containerd/containerd/version"
)

// answer answers arguments of containerd that ask for its version or usage. It returns false if
// they ask for neither, and an error for a command: this containerd has none, and no config file.
func answer(args []string, out io.Writer) (answered bool, err error) {
	for i := 0; i < len(args); i++ {
		if !strings.HasPrefix(args[i], "-") && args[i] != "help" {
			return false, fmt.Errorf("unknown command %q: it has no commands, and no config file\n  fix: containerd --help", args[i])
		}
		switch strings.TrimLeft(args[i], "-") {
		case "version", "v":
			fmt.Fprintln(out, strings.TrimSpace(strings.Join([]string{"containerd", version.Package, version.Version, version.Revision}, " ")))
			return true, nil
		case "help", "h":
			fmt.Fprintln(out, containerdUsage)
			return true, nil
		case "config", "c", "log-level", "l", "address", "a", "root", "state":
			i++ // its value
		}
	}
	return false, nil
}
