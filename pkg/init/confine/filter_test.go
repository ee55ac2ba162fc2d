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
		"mount": "umount2", "namespaces": "clone3", "bpf": "bpf", "keys": "keyctl", "kernel": "perf_event_open",
	} {
		is := filterFor(nil, []string{word})
		if !allows(&is, name) {
			t.Errorf("%s does not allow %s", word, name)
		}
	}
}

// decide returns the action of a filter for a call with arguments of 64 bits.
func (s seccomp) decide(name string, args ...uint64) string {
	for _, r := range s.Syscalls {
		if slices.Contains(r.Names, name) && !slices.ContainsFunc(r.Args, func(a argument) bool { return !a.holds(args[a.Index]) }) {
			return r.Action
		}
	}
	return s.DefaultAction
}

func (a argument) holds(value uint64) bool {
	switch a.Op {
	case "SCMP_CMP_EQ":
		return value == a.Value
	case "SCMP_CMP_NE":
		return value != a.Value
	case "SCMP_CMP_LT":
		return value < a.Value
	case "SCMP_CMP_LE":
		return value <= a.Value
	case "SCMP_CMP_GT":
		return value > a.Value
	case "SCMP_CMP_MASKED_EQ":
		return value&a.Value == a.ValueTwo
	}
	panic(a.Op)
}

func TestFilterOfSockets(t *testing.T) {
	const allow, refuse, high = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", 1 << 32
	for _, row := range []struct {
		words            []string
		family, protocol uint64
		want             string
	}{
		{nil, 1, 0, allow}, {nil, 2, 6, allow}, {nil, 10, 17, allow}, {nil, 17, 0, allow}, {nil, 44, 0, allow},
		{nil, 16, 0, allow}, {nil, 16, 15, allow}, {nil, 16, 22, allow},
		{nil, 40, 0, refuse}, {nil, 16, 2, refuse}, {[]string{allowVSock}, 40, 0, allow}, {[]string{allowVSock}, 16, 2, refuse},
		// The kernel ignores the upper half.
		{nil, high | 40, 0, refuse}, {nil, 16, high | 2, refuse}, {nil, high | 16, 2, refuse}, {[]string{allowVSock}, high | 16, 2, refuse},
	} {
		if got := filterFor(nil, row.words).decide("socket", row.family, 1, row.protocol); got != row.want {
			t.Errorf("%v family %#x, protocol %#x: %s", row.words, row.family, row.protocol, got)
		}
	}
}

func TestFilterOfAttributes(t *testing.T) {
	for _, name := range []string{"setxattr", "lsetxattr", "fsetxattr"} {
		for size, want := range map[uint64]string{
			0: "SCMP_ACT_ALLOW", 4096: "SCMP_ACT_ALLOW", 4097: "SCMP_ACT_ERRNO", 65536: "SCMP_ACT_ERRNO", 1<<32 | 1: "SCMP_ACT_ERRNO",
		} {
			if got := filterFor(nil, nil).decide(name, 0, 0, 0, size, 0); got != want {
				t.Errorf("%s of %d bytes: %s", name, size, got)
			}
		}
	}
}

// No rule of a filter compares an argument of 32 bits by what it is not: the kernel ignores the
// upper half, which the filter sees.
func TestFilterComparesNoDifference(t *testing.T) {
	for _, words := range [][]string{nil, {allowBPF, allowKernel, allowKeys, allowMount, allowNamespaces, allowVSock}} {
		for _, r := range filterFor([]string{"CAP_SYS_ADMIN"}, words).Syscalls {
			for _, a := range r.Args {
				if a.Op == "SCMP_CMP_NE" {
					t.Errorf("%v: %+v", r.Names, a)
				}
			}
		}
	}
}

func TestConfigKeepsOwnFilter(t *testing.T) {
	own := linuxOf(t, "", `{"seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}}`).Seccomp
	if own.DefaultAction != "SCMP_ACT_ALLOW" || own.Syscalls != nil {
		t.Errorf("%+v", own)
	}
}
