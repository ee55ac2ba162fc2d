// Package sandbox takes from a process what its role does not need. roles.json says what each may do: this program obeys it, the
// table of docs/security.md is made from it, and the test that boots compares it with what /proc says.
package sandbox

import (
	_ "embed"
	"encoding/json"
	"fmt"

	"golang.org/x/sys/unix"
)

//go:embed roles.json
var rolesFile []byte

// Role is one process of the three.
type Role struct {
	Does         string
	UID          uint32
	Capabilities []string
	Files        []string
	Syscalls     []string
}

// RoleOf is a role by its name.
func RoleOf(name string) (Role, error) {
	var roles map[string]Role
	if err := json.Unmarshal(rolesFile, &roles); err != nil {
		return Role{}, err
	}
	role, found := roles[name]
	if !found {
		return Role{}, fmt.Errorf("no role %q", name)
	}
	for _, name := range role.Syscalls {
		if _, known := numbers[name]; !known {
			return Role{}, fmt.Errorf("no system call %q", name)
		}
	}
	return role, nil
}

// What Go itself needs: waiting for one another, memory, the return from a signal, clocks, the end, and what a thread does first, should
// one be that young. Memory may not be executable nor be that of a file; no thread or process can be made.
var runtimeCalls = []string{
	"gettid", "rt_sigprocmask", "rseq", "set_robust_list", "sigaltstack",
	"futex", "epoll_pwait", "nanosleep", "sched_yield", "madvise", "munmap", "mmap", "rt_sigreturn", "clock_gettime", "exit", "exit_group",
}

var numbers = map[string]uint32{
	"clock_gettime":   unix.SYS_CLOCK_GETTIME,
	"epoll_pwait":     unix.SYS_EPOLL_PWAIT,
	"exit":            unix.SYS_EXIT,
	"exit_group":      unix.SYS_EXIT_GROUP,
	"ftruncate":       unix.SYS_FTRUNCATE,
	"futex":           unix.SYS_FUTEX,
	"gettid":          unix.SYS_GETTID,
	"madvise":         unix.SYS_MADVISE,
	"mmap":            unix.SYS_MMAP,
	"munmap":          unix.SYS_MUNMAP,
	"nanosleep":       unix.SYS_NANOSLEEP,
	"ppoll":           unix.SYS_PPOLL,
	"pread64":         unix.SYS_PREAD64,
	"pwrite64":        unix.SYS_PWRITE64,
	"read":            unix.SYS_READ,
	"recvfrom":        unix.SYS_RECVFROM,
	"recvmsg":         unix.SYS_RECVMSG,
	"rseq":            unix.SYS_RSEQ,
	"rt_sigprocmask":  unix.SYS_RT_SIGPROCMASK,
	"rt_sigreturn":    unix.SYS_RT_SIGRETURN,
	"sched_yield":     unix.SYS_SCHED_YIELD,
	"sendto":          unix.SYS_SENDTO,
	"set_robust_list": unix.SYS_SET_ROBUST_LIST,
	"sigaltstack":     unix.SYS_SIGALTSTACK,
	"write":           unix.SYS_WRITE,
}

// CapabilitySet is the role's capabilities as bits.
func (r Role) CapabilitySet() (uint32, error) {
	var set uint32
	for _, name := range r.Capabilities {
		if name != "NET_ADMIN" {
			return 0, fmt.Errorf("no capability %q", name)
		}
		set |= 1 << unix.CAP_NET_ADMIN
	}
	return set, nil
}
