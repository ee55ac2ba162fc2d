package main

import (
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// checkSandboxed prints the privileges and open files of each process with a role of pkg/sandbox.
func checkSandboxed(r *report) {
	kinds := socketKinds()
	for _, pid := range pids() {
		// The library sets this variable.
		if !strings.Contains(readText("/proc/"+pid+"/environ"), "LKT_SANDBOX_SETUP=") {
			continue
		}
		fields := map[string]string{}
		for _, line := range strings.Split(readText("/proc/"+pid+"/status"), "\n") {
			name, value, _ := strings.Cut(line, ":")
			fields[name] = strings.Fields(value + " ?")[0]
		}
		files := map[string]bool{}
		entries, _ := os.ReadDir("/proc/" + pid + "/fd")
		for _, entry := range entries {
			target, err := os.Readlink("/proc/" + pid + "/fd/" + entry.Name())
			if err != nil {
				continue
			}
			if kind, found := kinds[target]; found {
				target = kind
			} else if info, err := os.Stat("/proc/" + pid + "/fd/" + entry.Name()); err == nil && info.Mode()&os.ModeNamedPipe != 0 && target[0] == '/' {
				target = "fifo"
			}
			files[filepath.Base(target)] = true
		}
		var names []string
		for name := range files {
			names = append(names, name)
		}
		sort.Strings(names)
		r.fact("sandboxed %s uid=%s gid=%s permitted=%s effective=%s ambient=%s no_new_privs=%s seccomp=%s files=%s",
			strings.TrimSpace(readText("/proc/"+pid+"/comm")), fields["Uid"], fields["Gid"], fields["CapPrm"], fields["CapEff"],
			fields["CapAmb"], fields["NoNewPrivs"], fields["Seccomp"], strings.Join(names, ","))
	}
}

// socketKinds maps the link targets in /proc/PID/fd to the families of the host's sockets
// (proc_pid_net(5)).
func socketKinds() map[string]string {
	kinds := map[string]string{}
	for family, column := range map[string]int{"packet": 8, "netlink": 9, "unix": 6, "udp": 9, "tcp": 9, "raw": 9} {
		for _, line := range strings.Split(readText("/proc/1/net/"+family), "\n") {
			if fields := strings.Fields(line); len(fields) > column {
				kinds["socket:["+fields[column]+"]"] = family
			}
		}
	}
	return kinds
}
