package sandbox

import (
	"strings"
	"testing"
)

func TestParseRejectsInvalidRoles(t *testing.T) {
	for want, text := range map[string]string{
		"needs the system calls": `{"a": {"description": "x", "memory": 1, "syscalls": ["write"]}}`,
		"unknown system call":    `{"a": {"description": "x", "memory": 1, "syscalls": ["execve"]}}`,
		"unknown capability":     `{"a": {"description": "x", "memory": 1, "capabilities": ["ALL"]}}`,
		"unknown field":          `{"a": {"description": "x", "memory": 1, "path": ["/"]}}`,
		"are required":           `{"a": {"description": "x"}}`,
		"exceeds 15 bytes":       `{"a-very-long-name": {"description": "x", "memory": 1}}`,
		"roles of p: unexpected": `{`,
	} {
		if _, err := Parse("p", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// A process that starts programs is listed, and cannot be started in its role.
func TestRoleWithProgramsHasNoFilter(t *testing.T) {
	roles, err := Parse("p", []byte(`{"a": {"description": "x", "programs": true}}`))
	if err != nil {
		t.Fatal(err)
	}
	role := roles["a"]
	if role.Start(nil) == nil || role.Exec(nil) == nil || role.Enter() == nil {
		t.Error("is confined")
	}
}

func TestNoSystemCallExecutesOrTraces(t *testing.T) {
	for _, name := range []string{"execve", "execveat", "ptrace", "process_vm_writev", "bpf", "mount", "setns", "unshare", "io_uring_setup", "kill"} {
		if _, found := rules[name]; found {
			t.Errorf("roles may call %s", name)
		}
	}
}
