package main

import (
	"os"
	"strings"
)

// The parameters that PID 1 sets (pkg/init/sysctl). Missing parameters are not an error: the kernel
// lacks the feature too.
var sysctls = []struct{ key, want string }{
	{"kernel/kptr_restrict", "2"},
	{"kernel/yama/ptrace_scope", "3"},
	{"user/max_user_namespaces", "0"},
	{"kernel/dmesg_restrict", "1"},
	{"kernel/perf_event_paranoid", "3"},
	{"kernel/unprivileged_bpf_disabled", "1"},
	{"kernel/randomize_va_space", "2"},
	{"net/core/bpf_jit_harden", "2"},
	{"net/ipv6/conf/default/accept_ra", "0"},
	{"net/ipv6/conf/eth0/accept_ra", "0"},
	{"fs/protected_symlinks", "1"},
	{"fs/protected_hardlinks", "1"},
	{"fs/protected_fifos", "2"},
	{"fs/protected_regular", "2"},
	{"fs/suid_dumpable", "0"},
}

func checkSysctls(r *report) {
	for _, s := range sysctls {
		text, err := os.ReadFile("/proc/sys/" + s.key)
		if os.IsNotExist(err) {
			continue
		}
		got := strings.TrimSpace(string(text))
		r.check(strings.ReplaceAll(s.key, "/", ".")+" is "+s.want, unless(err == nil && got == s.want, "it is "+got))
	}
}
