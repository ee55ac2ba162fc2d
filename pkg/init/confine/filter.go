package confine

import (
	"runtime"
	"slices"
)

// filterFor returns the filter of system calls of a container: those of Docker's default profile,
// with these differences. Calls that reach beyond the container need a word of the config, not only
// a capability: mounts, namespaces, BPF, handles of files, perf events. Only the machine's own
// architecture is allowed. Others fail with EPERM.
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
	rules = append(rules, socketRules(slices.Contains(allowed, allowVSock))...)
	rules = append(rules, attributeRules()...)
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

// Families and protocols of sockets. The kernel takes them as 32-bit numbers and the filter as
// 64-bit ones, so that only a list of those that are allowed is safe.
const (
	// Below it are those of Unix, IPv4 and IPv6.
	netlink = 16
	// The hypervisor, which no network namespace separates.
	vsock = 40
	// AF_PACKET, AF_CAN, AF_TIPC, AF_BLUETOOTH, AF_ALG, AF_SMC and AF_XDP.
	packet, can, tipc, bluetooth, alg, smc, xdp = 17, 29, 30, 31, 38, 43, 44
	// NETLINK_USERSOCK carries messages between programs. The kernel counts the memory of those
	// that wait for no container, so that one of 64 MB could take all of the machine's.
	userMessages = 2
	maxNetlink   = 22
)

// socketRules allow the sockets of Docker's default profile, without messages of netlink between
// programs.
func socketRules(hypervisor bool) []rule {
	allow := func(args ...argument) rule {
		return rule{Names: []string{"socket"}, Action: "SCMP_ACT_ALLOW", Args: args}
	}
	rules := []rule{allow(argument{Value: netlink, Op: "SCMP_CMP_LT"})}
	families := []uint64{packet, can, tipc, bluetooth, alg, smc, xdp}
	if hypervisor {
		families = append(families, vsock)
	}
	for _, family := range families {
		rules = append(rules, allow(argument{Value: family, Op: "SCMP_CMP_EQ"}))
	}
	for protocol := range uint64(maxNetlink + 1) {
		if protocol != userMessages {
			rules = append(rules, allow(argument{Value: netlink, Op: "SCMP_CMP_EQ"}, argument{Index: 2, Value: protocol, Op: "SCMP_CMP_EQ"}))
		}
	}
	return rules
}

// maxAttribute is the size of the longest extended attribute that ext4 stores in a block. One of
// 64 KiB may be an ACL, which the kernel keeps in memory of a tmpfs, and counts for no container.
const maxAttribute = 4096

func attributeRules() []rule {
	calls := []string{"fsetxattr", "lsetxattr", "setxattr"}
	noSpace, noSuchCall := uint(28), uint(38) // ENOSPC as on ext4, and ENOSYS
	return []rule{
		// Its size is in memory, which no filter sees. Programs use the older calls then.
		{Names: []string{"setxattrat"}, Action: "SCMP_ACT_ERRNO", Error: &noSuchCall},
		{Names: calls, Action: "SCMP_ACT_ALLOW", Args: []argument{{Index: 3, Value: maxAttribute, Op: "SCMP_CMP_LE"}}},
		{Names: calls, Action: "SCMP_ACT_ERRNO", Error: &noSpace, Args: []argument{{Index: 3, Value: maxAttribute, Op: "SCMP_CMP_GT"}}},
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
