// Command sysctl sets the kernel's parameters as the files of its /etc/sysctl.d say. PID 1 of lkt does the same with those of the
// machine; this is for another init, and for what can be set only after another step.
package main

import (
	"fmt"
	"os"

	"lkt/init/sysctl"
)

func main() { os.Exit(run("/etc/sysctl.d", "/proc/sys")) }

func run(dir, root string) (status int) {
	failures, err := sysctl.Apply(dir, root, say)
	if err != nil {
		say("%v", err)
	}
	if err != nil || failures > 0 {
		return 1
	}
	return 0
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "sysctl: "+format+"\n", args...)
}
