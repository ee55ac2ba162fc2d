package confine

import (
	"slices"
	"testing"
)

// allows reports whether a container's filter has an unconditional rule for a call.
func allows(is *seccomp, name string) bool {
	return slices.ContainsFunc(is.Syscalls, func(r rule) bool {
		return r.Action == "SCMP_ACT_ALLOW" && r.Args == nil && slices.Contains(r.Names, name)
	})
}

func TestFilterAllowsOnlyListedCalls(t *testing.T) {
	is := linuxOf(t, "", `{}`).Seccomp
	if is.DefaultAction != "SCMP_ACT_ERRNO" || len(is.Architectures) != 1 || !allows(is, "read") {
		t.Fatalf("%+v", is)
	}
	closed := []string{"io_uring_setup", "userfaultfd", "kexec_load", "socketcall"}
	for _, calls := range capabilityCalls {
		closed = append(closed, calls...)
	}
	for _, calls := range allowedCalls {
		closed = append(closed, calls...)
	}
	for _, name := range closed {
		if allows(is, name) {
			t.Errorf("%s is allowed", name)
		}
	}
}

func TestCapabilitiesAllowCalls(t *testing.T) {
	is := linuxOf(t, `"CAP_SYS_ADMIN", "CAP_SYS_TIME"`, `{}`).Seccomp
	for _, name := range []string{"swapon", "sethostname", "settimeofday"} {
		if !allows(is, name) {
			t.Errorf("%s is not allowed", name)
		}
	}
	for _, name := range []string{"mount", "umount2", "setns", "pivot_root", "clone", "bpf", "chroot", "fanotify_init", "perf_event_open"} {
		if allows(is, name) {
			t.Errorf("%s is allowed", name)
		}
	}
}

// A container with these calls reads files of others on a file system that it shares, and memory.
func TestNoCapabilityReachesOthers(t *testing.T) {
	var all []string
	for name := range capabilityCalls {
		all = append(all, name)
	}
	is := filterFor(append(all, "CAP_DAC_READ_SEARCH", "CAP_PERFMON"), nil)
	for _, name := range []string{"fanotify_init", "open_by_handle_at", "perf_event_open"} {
		if allows(&is, name) {
			t.Errorf("%s is allowed", name)
		}
	}
}

func TestWordsAllowCalls(t *testing.T) {
	for word, name := range map[string]string{
		"mount": "umount2", "namespaces": "clone3", "bpf": "bpf", "keys": "keyctl", "vsock": "socket", "kernel": "perf_event_open",
	} {
		is := filterFor(nil, []string{word})
		if !allows(&is, name) {
			t.Errorf("%s does not allow %s", word, name)
		}
	}
}

func TestConfigKeepsOwnFilter(t *testing.T) {
	own := linuxOf(t, "", `{"seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}}`).Seccomp
	if own.DefaultAction != "SCMP_ACT_ALLOW" || own.Syscalls != nil {
		t.Errorf("%+v", own)
	}
}
