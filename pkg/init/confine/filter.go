package confine

import "runtime"

// filter refuses what Docker's refuses too, and what neither a namespace nor a capability keeps apart: a user's keys are those of
// all containers that run as this user. io_uring and userfaultfd are ways around other filters, and into the kernel.
var filter = seccomp{
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

// seccomp is linux.seccomp of the OCI runtime spec. An error is EPERM there if nothing else is said.
type seccomp struct {
	DefaultAction string   `json:"defaultAction"`
	Architectures []string `json:"architectures"`
	Syscalls      []rule   `json:"syscalls"`
}

type rule struct {
	Names  []string `json:"names"`
	Action string   `json:"action"`
}
