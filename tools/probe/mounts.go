package main

import (
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

type mount struct {
	point, kind string
	options     []string
}

func (m mount) has(option string) bool {
	for _, o := range m.options {
		if o == option {
			return true
		}
	}
	return false
}

// mountsOf parses /proc/PID/mountinfo (proc_pid_mountinfo(5)). A mount is writable unless its own
// or its file system's options say "ro".
func mountsOf(pid string) []mount {
	text, err := os.ReadFile("/proc/" + pid + "/mountinfo")
	if err != nil {
		return nil
	}
	var mounts []mount
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		left, right, found := strings.Cut(line, " - ")
		fields, tail := strings.Fields(left), strings.Fields(right)
		if !found || len(fields) < 6 || len(tail) < 3 {
			continue
		}
		options := append(strings.Split(fields[5], ","), strings.Split(tail[2], ",")...)
		readOnly := strings.Contains(","+fields[5]+",", ",ro,") || strings.Contains(","+tail[2]+",", ",ro,")
		if !readOnly {
			options = append(options, "writable")
		}
		mounts = append(mounts, mount{fields[4], tail[0], options})
	}
	return mounts
}

func checkMounts(r *report) {
	mounts := mountsOf("1")
	root := mount{}
	for _, m := range mounts {
		if m.point == "/" {
			root = m
		}
	}
	r.check("the root mount is read-only", unless(root.point != "" && !root.has("writable"), strings.Join(root.options, ",")))
	for _, m := range mounts {
		switch m.point {
		case "/run", "/tmp", "/var", "/dev/shm", "/proc", "/sys":
			for _, option := range []string{"nosuid", "nodev", "noexec"} {
				r.check(m.point+" is "+option, unless(m.has(option), strings.Join(m.options, ",")))
			}
		}
	}
	facts := map[string]bool{}
	for _, m := range mounts {
		if m.has("writable") {
			facts["writable init "+m.kind+" "+m.point] = true
		}
	}
	// The writable mounts of each service's mount namespace.
	own, _ := os.Readlink("/proc/1/ns/mnt")
	self, _ := os.Readlink("/proc/self/ns/mnt")
	for _, pid := range pids() {
		namespace, err := os.Readlink("/proc/" + pid + "/ns/mnt")
		if err != nil || namespace == own || namespace == self {
			continue
		}
		exe, err := os.Readlink("/proc/" + pid + "/exe")
		if err != nil {
			continue // a kernel thread
		}
		for _, m := range mountsOf(pid) {
			if m.has("writable") {
				facts["writable "+filepath.Base(exe)+" "+m.kind+" "+m.point] = true
			}
		}
	}
	for _, fact := range sorted(facts) {
		r.fact("%s", fact)
	}
}

func pids() []string {
	entries, _ := os.ReadDir("/proc")
	var found []string
	for _, entry := range entries {
		if _, err := strconv.Atoi(entry.Name()); err == nil {
			found = append(found, entry.Name())
		}
	}
	return found
}

func sorted(set map[string]bool) []string {
	list := make([]string, 0, len(set))
	for item := range set {
		list = append(list, item)
	}
	sort.Strings(list)
	return list
}
