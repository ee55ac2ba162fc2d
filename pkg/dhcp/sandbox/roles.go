// Package sandbox removes the privileges that a process's role does not need. roles.json lists the
// privileges of each role: this program applies it, docs/security.md is generated from it, and the
// boot test compares it with /proc.
package sandbox

import (
	_ "embed"
	"encoding/json"
	"fmt"

	"golang.org/x/sys/unix"
)

//go:embed roles.json
var rolesFile []byte

// Role is one of the three processes, as in roles.json.
type Role struct {
	Description  string
	UID          uint32
	Capabilities []string
	Files        []string
	Syscalls     []string
}

// LookupRole returns the role with the given name.
func LookupRole(name string) (Role, error) {
	var roles map[string]Role
	if err := json.Unmarshal(rolesFile, &roles); err != nil {
		return Role{}, err
	}
	role, found := roles[name]
	if !found {
		return Role{}, fmt.Errorf("unknown role %q", name)
	}
	for _, name := range role.Syscalls {
		if _, known := syscallNumbers[name]; !known {
			return Role{}, fmt.Errorf("unknown system call %q", name)
		}
	}
	return role, nil
}

// runtimeSyscalls are the system calls of the Go runtime: scheduling, memory, return from a signal,
// clocks, exit, and the first calls of a new thread. mmap is restricted to anonymous,
// non-executable memory, and no call creates a thread or a process.
var runtimeSyscalls = []string{
	"gettid", "rt_sigprocmask", "rseq", "set_robust_list", "sigaltstack",
	"futex", "epoll_pwait", "nanosleep", "sched_yield", "madvise", "munmap", "mmap", "rt_sigreturn", "clock_gettime", "exit", "exit_group",
}

var syscallNumbers = map[string]uint32{
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

// CapabilitySet returns the role's capabilities as a bit set.
func (r Role) CapabilitySet() (uint32, error) {
	var set uint32
	for _, name := range r.Capabilities {
		if name != "NET_ADMIN" {
			return 0, fmt.Errorf("unknown capability %q", name)
		}
		set |= 1 << unix.CAP_NET_ADMIN
	}
	return set, nil
}
