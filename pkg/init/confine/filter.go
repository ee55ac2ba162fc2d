package confine

import (
	"runtime"
	"slices"
)

// filterFor returns the filter of system calls of a container: those of Docker's default profile,
// with these differences. Calls that reach beyond the container, such as mounts, namespaces, BPF,
// handles of files and perf events, need a word of the config, not only a capability. Only the
// machine's own architecture is allowed. Others fail with EPERM.
func filterFor(capabilities, allowed []string) seccomp {
	names := slices.Clone(baseCalls)
	for _, name := range capabilities {
		names = append(names, capabilityCalls[name]...)
	}
	for _, word := range allowed {
		names = append(names, allowedCalls[word]...)
	}
	slices.Sort(names)
	rules := []rule{{Names: slices.Compact(names), Action: "SCMP_ACT_ALLOW"}}
	if !slices.Contains(allowed, allowNamespaces) {
		const newNamespaces = 0x7e020000 // the flags CLONE_NEW… of clone
		noSuchCall := uint(38)           // ENOSYS: the C library then uses clone
		rules = append(rules,
			rule{Names: []string{"clone"}, Action: "SCMP_ACT_ALLOW", Args: []argument{{Value: newNamespaces, Op: "SCMP_CMP_MASKED_EQ"}}},
			rule{Names: []string{"clone3"}, Action: "SCMP_ACT_ERRNO", Error: &noSuchCall},
		)
	}
	if !slices.Contains(allowed, allowVSock) {
		const vsock = 40 // AF_VSOCK: the hypervisor, which no network namespace separates
		rules = append(rules, rule{Names: []string{"socket"}, Action: "SCMP_ACT_ALLOW", Args: []argument{{Value: vsock, Op: "SCMP_CMP_NE"}}})
	}
	// Linux, Linux with 16-bit numbers, 32-bit, both, and the query of personality.
	for _, value := range []uint64{0, 0x8, 0x20000, 0x20008, 0xffffffff} {
		rules = append(rules, rule{Names: []string{"personality"}, Action: "SCMP_ACT_ALLOW", Args: []argument{{Value: value, Op: "SCMP_CMP_EQ"}}})
	}
	return seccomp{
		DefaultAction: "SCMP_ACT_ERRNO",
		Architectures: map[string][]string{"amd64": {"SCMP_ARCH_X86_64"}, "arm64": {"SCMP_ARCH_AARCH64"}}[runtime.GOARCH],
		Syscalls:      rules,
	}
}

// seccomp is linux.seccomp of the OCI runtime spec. The default error is EPERM.
type seccomp struct {
	DefaultAction string   `json:"defaultAction"`
	Architectures []string `json:"architectures"`
	Syscalls      []rule   `json:"syscalls"`
}

type rule struct {
	Names  []string   `json:"names"`
	Action string     `json:"action"`
	Error  *uint      `json:"errnoRet,omitempty"`
	Args   []argument `json:"args,omitempty"`
}

type argument struct {
	Index    uint   `json:"index"`
	Value    uint64 `json:"value"`
	ValueTwo uint64 `json:"valueTwo"`
	Op       string `json:"op"`
}
