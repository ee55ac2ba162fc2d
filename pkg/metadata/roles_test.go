package main

import (
	"slices"
	"strings"
	"testing"

	"lkt/sandbox"
)

// Who parses answers of the network must not reach disks, and neither may write.
func TestNoRoleHasNetworkAndFiles(t *testing.T) {
	roles, err := sandbox.Parse("metadata", rolesFile)
	if err != nil {
		t.Fatal(err)
	}
	for name, role := range roles {
		network := slices.ContainsFunc(role.Syscalls, func(call string) bool { return strings.HasPrefix(call, "socket") })
		opens := slices.Contains(role.Syscalls, "openat")
		disks := slices.Contains(role.Syscalls, "pread64")
		writes := len(role.Write) > 0
		if network != (name == "cloud") || disks != (name == "disks") || opens != writes || writes != (name == "writer") || role.CPU == 0 {
			t.Errorf("%s: %+v", name, role)
		}
	}
}
