// Command sysctl sets kernel parameters from the files in its /etc/sysctl.d. lkt's PID 1 does the
// same with those of the machine; this program is for another init, and for parameters that must be
// set after another step.
package main

import (
	"fmt"
	"os"

	"lkt/init/sysctl"
)

func main() { os.Exit(run(os.Args[1:], "/etc/sysctl.d", "/proc/sys")) }

func run(args []string, dir, root string) (status int) {
	if len(args) > 0 {
		report("unexpected argument %q: the parameters are those of %s", args[0], dir)
		return 1
	}
	failures, err := sysctl.Apply(dir, root, report)
	if err != nil {
		report("%v", err)
	}
	if err != nil || failures > 0 {
		return 1
	}
	return 0
}

func report(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "sysctl: "+format+"\n", args...)
}
