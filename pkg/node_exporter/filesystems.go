package main

import (
	"strconv"
	"strings"
	"syscall"
)

// ignoredTypes are file systems without data, which Prometheus' node_exporter ignores too.
var ignoredTypes = map[string]bool{
	"autofs": true, "binfmt_misc": true, "bpf": true, "cgroup": true, "cgroup2": true, "configfs": true, "debugfs": true, "devpts": true,
	"devtmpfs": true, "fusectl": true, "hugetlbfs": true, "iso9660": true, "mqueue": true, "nsfs": true, "overlay": true, "proc": true,
	"procfs": true, "pstore": true, "rpc_pipefs": true, "securityfs": true, "selinuxfs": true, "squashfs": true, "erofs": true,
	"sysfs": true, "tracefs": true,
}

// mount is a line of mountinfo (proc_pid_mountinfo(5)).
type mount struct {
	at, kind, device string
	readOnly         bool
}

func parseMount(line string) (mount, bool) {
	before, after, found := strings.Cut(line, " - ")
	first, second := strings.Fields(before), strings.Fields(after)
	if !found || len(first) < 6 || len(second) < 3 {
		return mount{}, false
	}
	// The options of the file system, not of the mount: all bind mounts here are read-only.
	readOnly := second[2] == "ro" || strings.HasPrefix(second[2], "ro,")
	return mount{unescape(first[4]), second[0], unescape(second[1]), readOnly}, true
}

// unescape decodes octal escapes, such as those of spaces.
func unescape(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+3 < len(text) {
			if n, err := strconv.ParseUint(text[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// hostPath returns the path on the machine of a mount point below the root, or false for others.
func (m machine) hostPath(at string) (string, bool) {
	if m.root == "/" {
		return at, true
	}
	rest, found := strings.CutPrefix(at, strings.TrimSuffix(m.root, "/"))
	if !found || rest != "" && rest[0] != '/' {
		return "", false
	}
	if rest == "" {
		rest = "/"
	}
	return rest, true
}

func filesystems(m machine, out *output) error {
	text, err := m.read("self/mountinfo")
	last := map[string]mount{}
	var order []string
	for line := range strings.Lines(text) {
		mounted, ok := parseMount(line)
		if !ok {
			continue
		}
		at, below := m.hostPath(mounted.at)
		if !below || ignoredTypes[mounted.kind] || m.excluded.MatchString(at) {
			continue
		}
		// A later mount on the same mount point covers it.
		if _, known := last[at]; !known {
			order = append(order, at)
		}
		last[at] = mounted
	}
	for _, at := range order {
		statFilesystem(at, last[at], out)
	}
	return err
}

func statFilesystem(at string, mounted mount, out *output) {
	var s syscall.Statfs_t
	labels := func(problem string) []string {
		return []string{"device", mounted.device, "device_error", problem, "fstype", mounted.kind, "mountpoint", at}
	}
	if err := syscall.Statfs(mounted.at, &s); err != nil {
		out.gauge("node_filesystem_device_error", 1, labels(err.Error())...)
		return
	}
	ok := labels("")
	readOnly := 0.0
	if mounted.readOnly {
		readOnly = 1
	}
	size := float64(s.Bsize)
	out.gauge("node_filesystem_avail_bytes", float64(s.Bavail)*size, ok...)
	out.gauge("node_filesystem_device_error", 0, ok...)
	out.gauge("node_filesystem_files", float64(s.Files), ok...)
	out.gauge("node_filesystem_files_free", float64(s.Ffree), ok...)
	out.gauge("node_filesystem_free_bytes", float64(s.Bfree)*size, ok...)
	out.gauge("node_filesystem_readonly", readOnly, ok...)
	out.gauge("node_filesystem_size_bytes", float64(s.Blocks)*size, ok...)
}
