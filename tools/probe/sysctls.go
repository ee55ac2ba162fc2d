package main

import (
	"os"
	"path/filepath"
	"strings"
)

// required are parameters of every machine, whatever its files say.
var required = map[string]string{
	"kernel/kptr_restrict":             "2",
	"kernel/yama/ptrace_scope":         "3",
	"user/max_user_namespaces":         "0",
	"kernel/dmesg_restrict":            "1",
	"kernel/perf_event_paranoid":       "3",
	"kernel/unprivileged_bpf_disabled": "1",
	"kernel/randomize_va_space":        "2",
	"kernel/shm_rmid_forced":           "1",
	"net/core/bpf_jit_harden":          "2",
	"net/ipv6/conf/default/accept_ra":  "0",
	"net/ipv6/conf/eth0/accept_ra":     "0",
	"fs/protected_symlinks":            "1",
	"fs/protected_hardlinks":           "1",
	"fs/protected_fifos":               "2",
	"fs/protected_regular":             "2",
	"fs/suid_dumpable":                 "0",
}

// checkSysctls compares the required parameters, and those of the files that PID 1 applies
// (pkg/init/sysctl). Missing parameters are not an error: the kernel lacks the feature too.
func checkSysctls(r *report) {
	wanted := map[string]string{}
	paths, _ := filepath.Glob(host + "/etc/sysctl.d/*.conf")
	for _, path := range paths {
		for _, line := range strings.Split(readText(path), "\n") {
			name, value, isSetting := strings.Cut(line, "=")
			name = strings.TrimPrefix(strings.TrimSpace(name), "-")
			if isSetting && !strings.HasPrefix(name, "#") && !strings.Contains(name, "*") {
				wanted[strings.ReplaceAll(name, ".", "/")] = strings.TrimSpace(value)
			}
		}
	}
	for key, value := range required {
		wanted[key] = value
	}
	for _, key := range sorted(keysOf(wanted)) {
		text, err := os.ReadFile("/proc/sys/" + key)
		if os.IsNotExist(err) {
			continue
		}
		// The kernel separates several numbers by tabs.
		got := strings.Join(strings.Fields(string(text)), " ")
		name, want := strings.ReplaceAll(key, "/", "."), wanted[key]
		r.check(name+" is "+want, unless(err == nil && got == want, "it is "+got))
	}
}

func keysOf(values map[string]string) map[string]bool {
	keys := map[string]bool{}
	for key := range values {
		keys[key] = true
	}
	return keys
}
