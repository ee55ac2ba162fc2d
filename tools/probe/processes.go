package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// checkSockets prints the listening sockets in the host's network namespace (proc_pid_net(5)).
func checkSockets(r *report) {
	for _, family := range []string{"tcp", "tcp6", "udp", "udp6", "raw", "packet"} {
		text, err := os.ReadFile("/proc/1/net/" + family)
		if err != nil {
			continue
		}
		for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[1:] {
			fields := strings.Fields(line)
			if family == "packet" {
				r.fact("listens packet")
				continue
			}
			// State 0A is LISTEN; unconnected UDP sockets are in state 07.
			if len(fields) > 3 && (fields[3] == "0A" || !strings.HasPrefix(family, "tcp")) {
				_, port, _ := strings.Cut(fields[1], ":")
				var number int
				fmt.Sscanf(port, "%X", &number)
				r.fact("listens %s %d", family, number)
			}
		}
	}
}

// checkProcesses prints the privileges of all programs, without kernel threads.
func checkProcesses(r *report) {
	facts := map[string]bool{}
	for _, pid := range pids() {
		exe, err := os.Readlink("/proc/" + pid + "/exe")
		if err != nil {
			continue
		}
		status, err := os.ReadFile("/proc/" + pid + "/status")
		if err != nil {
			continue
		}
		fields := map[string]string{}
		for _, line := range strings.Split(string(status), "\n") {
			name, value, _ := strings.Cut(line, ":")
			fields[name] = strings.Fields(value + " ?")[0]
		}
		facts[fmt.Sprintf("process %s uid=%s caps=%s bounding=%s no_new_privs=%s seccomp=%s oom=%s", filepath.Base(exe), fields["Uid"],
			fields["CapEff"], fields["CapBnd"], fields["NoNewPrivs"], fields["Seccomp"], strings.TrimSpace(readText("/proc/"+pid+"/oom_score_adj")))] = true
	}
	for _, fact := range sorted(facts) {
		r.fact("%s", fact)
	}
}
