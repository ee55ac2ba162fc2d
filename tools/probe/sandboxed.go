package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// awaited names the processes that checkSandboxed waits for, separated by commas: of roles, and of
// programs that start others, which are the first ones of their container. After a colon, each has
// its number of filters of system calls: those of its container and its own.
const awaited = "PROBE_AWAIT"

// waitLimit is the time for processes of the awaited roles to appear.
const waitLimit = 2 * time.Minute

// checkSandboxed prints the privileges and open files of each process with a role of pkg/sandbox,
// and of each awaited one. It first waits for the awaited processes, which may end soon, to enter
// their roles.
func checkSandboxed(r *report) {
	missing, wanted, facts := map[string]string{}, map[string]bool{}, map[string]bool{}
	for _, one := range strings.FieldsFunc(os.Getenv(awaited), func(c rune) bool { return c == ',' }) {
		name, filters, _ := strings.Cut(one, ":")
		missing[name], wanted[name] = filters, true
	}
	seen := map[string]bool{}
	for end := time.Now().Add(waitLimit); len(missing) > 0 && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		for _, process := range sandboxed(wanted) {
			// Before it enters its role, it has one filter less, and other limits.
			if filters, found := missing[process.name]; found && process.filters == filters {
				facts[process.fact], seen[process.name] = true, true
				delete(missing, process.name)
			}
		}
	}
	for _, process := range sandboxed(wanted) {
		if !seen[process.name] {
			facts[process.fact] = true
		}
	}
	for _, fact := range sorted(facts) {
		r.fact("%s", fact)
	}
}

// process is a process with a role, or an awaited one.
type process struct{ name, filters, fact string }

// sandboxed returns all processes with a role, and those of other wanted names that are the first
// ones of a container.
func sandboxed(wanted map[string]bool) []process {
	var all []process
	kinds := socketKinds()
	for _, pid := range pids() {
		fields := status("/proc/" + pid)
		isFirst := fields["NSpid"] == "1"
		name := strings.TrimSpace(readText("/proc/" + pid + "/comm"))
		// The library sets this variable.
		hasRole := strings.Contains(readText("/proc/"+pid+"/environ"), "LKT_SANDBOX_SETUP=")
		if !hasRole {
			if !isFirst || !wanted[name] {
				continue
			}
			fields = mostPrivileged(pid)
		}
		limits := limitsOf(pid)
		memory := "bounded"
		if limits["Max data size"] == "unlimited" {
			memory = "unlimited"
		}
		fact := fmt.Sprintf("sandboxed %s uid=%s gid=%s permitted=%s effective=%s ambient=%s no_new_privs=%s filters=%s memory=%s cpu=%s core=%s oom=%s files=%s",
			name, fields["Uid"], fields["Gid"], fields["CapPrm"], fields["CapEff"], fields["CapAmb"], fields["NoNewPrivs"],
			fields["Seccomp_filters"], memory, limits["Max cpu time"], limits["Max core file size"],
			strings.TrimSpace(readText("/proc/"+pid+"/oom_score_adj")), strings.Join(openFiles(pid, kinds), ","))
		all = append(all, process{name, fields["Seccomp_filters"], fact})
	}
	return all
}

// status returns the first word of each field of a status file (proc_pid_status(5)), of NSpid the
// last: the number in the process's own namespace.
func status(dir string) map[string]string {
	fields := map[string]string{}
	for _, line := range strings.Split(readText(dir+"/status"), "\n") {
		name, value, _ := strings.Cut(line, ":")
		words := strings.Fields(value + " ?")
		fields[name] = words[0]
		if name == "NSpid" && len(words) > 1 {
			fields[name] = words[len(words)-2]
		}
	}
	return fields
}

// mostPrivileged returns the fields of the thread with the most capabilities. A thread with which a
// program has started a role keeps the privileges of that role, also if it is the first one.
func mostPrivileged(pid string) map[string]string {
	var most map[string]string
	tasks, _ := filepath.Glob("/proc/" + pid + "/task/*")
	for _, task := range tasks {
		if fields := status(task); most == nil || fields["CapPrm"] > most["CapPrm"] {
			most = fields
		}
	}
	return most
}

// limitsOf returns the hard limits of a process (proc_pid_limits(5)).
func limitsOf(pid string) map[string]string {
	limits := map[string]string{}
	for _, line := range strings.Split(readText("/proc/"+pid+"/limits"), "\n") {
		const name, soft = 26, 47 // columns
		if fields := strings.Fields(line[min(soft, len(line)):]); len(fields) > 0 {
			limits[strings.TrimSpace(line[:name])] = fields[0]
		}
	}
	return limits
}

// openFiles returns the names of a process's open files, of sockets their families.
func openFiles(pid string, kinds map[string]string) []string {
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
	return sorted(files)
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
