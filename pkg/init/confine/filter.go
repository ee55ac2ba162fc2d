package confine

import "runtime"

// seccompFilter rejects system calls that Docker's profile rejects too and that neither namespaces
// nor capabilities confine: the keys of a user are shared by all containers with this user.
// io_uring and userfaultfd bypass other filters and ease kernel exploits.
var seccompFilter = seccomp{
	DefaultAction: "SCMP_ACT_ALLOW",
	Architectures: map[string][]string{
		"amd64": {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"},
		"arm64": {"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"},
	}[runtime.GOARCH],
	Syscalls: []rule{{
		Names: []string{
			"add_key", "keyctl", "request_key", "io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd",
		},
		Action: "SCMP_ACT_ERRNO",
	}},
}

// seccomp is linux.seccomp of the OCI runtime spec. The default error is EPERM.
type seccomp struct {
	DefaultAction string   `json:"defaultAction"`
	Architectures []string `json:"architectures"`
	Syscalls      []rule   `json:"syscalls"`
}

type rule struct {
	Names  []string `json:"names"`
	Action string   `json:"action"`
}
