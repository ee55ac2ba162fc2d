package main

import (
	"flag"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/containerd/containers"
	"github.com/containerd/containerd/namespaces"
	"github.com/containerd/containerd/oci"
	image "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli"

	"lkt/users"
)

// specOf returns the spec that "run" creates with the given arguments.
func specOf(t *testing.T, config image.ImageConfig, args ...string) (*oci.Spec, error) {
	t.Helper()
	set := flag.NewFlagSet("run", flag.ContinueOnError)
	for _, one := range runCommand.Flags {
		one.Apply(set)
	}
	if err := set.Parse(args); err != nil {
		t.Fatal(err)
	}
	options, err := specOptions(cli.NewContext(nil, set, nil), config, users.User{UID: 5, GID: 6, Groups: []uint32{7}})
	if err != nil {
		return nil, err
	}
	ctx := namespaces.WithNamespace(t.Context(), "default")
	return oci.GenerateSpec(ctx, nil, &containers.Container{ID: "x"}, options...)
}

var config = image.ImageConfig{Entrypoint: []string{"/a"}, Cmd: []string{"b"}, Env: []string{"A=1"}, WorkingDir: "/w"}

func TestRunDefaultsToServicePrivileges(t *testing.T) {
	spec, err := specOf(t, config, "image", "x")
	if err != nil {
		t.Fatal(err)
	}
	process, linux := spec.Process, spec.Linux
	if all := process.Capabilities; len(all.Bounding)+len(all.Effective)+len(all.Permitted)+len(all.Inheritable)+len(all.Ambient) > 0 {
		t.Errorf("capabilities: %+v", all)
	}
	if !process.NoNewPrivileges {
		t.Error("no_new_privs is not set")
	}
	if linux.Seccomp == nil || linux.Seccomp.DefaultAction != specs.ActErrno {
		t.Errorf("seccomp: %+v", linux.Seccomp)
	}
	// Docker's profile allows all families of sockets but one, so also those of 64 bits that the
	// kernel takes for it.
	for _, call := range linux.Seccomp.Syscalls {
		if slices.Contains(call.Names, "socket") && len(call.Args) == 0 || slices.ContainsFunc(call.Args, func(a specs.LinuxSeccompArg) bool {
			return a.Op == specs.OpNotEqual
		}) {
			t.Errorf("%v: %+v", call.Names, call.Args)
		}
	}
	if !slices.Contains(linux.MaskedPaths, "/proc/kcore") || !slices.Contains(linux.ReadonlyPaths, "/proc/sys") {
		t.Errorf("paths: %v, %v", linux.MaskedPaths, linux.ReadonlyPaths)
	}
	if linux.Resources.Pids == nil || linux.Resources.Pids.Limit != 2048 {
		t.Errorf("pids: %+v", linux.Resources.Pids)
	}
	var kinds []string
	for _, namespace := range linux.Namespaces {
		kinds = append(kinds, string(namespace.Type))
	}
	if slices.Sort(kinds); !reflect.DeepEqual(kinds, []string{"cgroup", "ipc", "mount", "network", "pid", "uts"}) {
		t.Errorf("namespaces: %v", kinds)
	}
	if !reflect.DeepEqual(process.Args, []string{"/a", "b"}) || process.Cwd != "/w" || !slices.Contains(process.Env, "A=1") {
		t.Errorf("process: %+v", process)
	}
	if want := (specs.User{UID: 5, GID: 6, AdditionalGids: []uint32{7}}); !reflect.DeepEqual(process.User, want) {
		t.Errorf("user: %+v", process.User)
	}
}

func TestRunFlagsExtendSpec(t *testing.T) {
	spec, err := specOf(t, config, "--cap-add", "CAP_CHOWN", "--net-host", "--pids-limit", "9", "--read-only", "--env", "A=2",
		"--mount", "type=bind,src=/s,dst=/d,options=rbind:ro", "--", "image", "x", "c", "d")
	if err != nil {
		t.Fatal(err)
	}
	mounts := slices.DeleteFunc(spec.Mounts, func(m specs.Mount) bool { return m.Type != "bind" })
	want := []specs.Mount{
		{Type: "bind", Source: "/s", Destination: "/d", Options: []string{"rbind", "ro"}},
		{Type: "bind", Source: "/etc/resolv.conf", Destination: "/etc/resolv.conf", Options: []string{"rbind", "ro"}},
	}
	if !reflect.DeepEqual(mounts, want) {
		t.Errorf("mounts: %+v", mounts)
	}
	if !reflect.DeepEqual(spec.Process.Capabilities.Bounding, []string{"CAP_CHOWN"}) || !spec.Root.Readonly ||
		!reflect.DeepEqual(spec.Process.Args, []string{"c", "d"}) || spec.Linux.Resources.Pids.Limit != 9 {
		t.Errorf("got %+v", spec)
	}
	if slices.ContainsFunc(spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.NetworkNamespace }) {
		t.Error("it has a network namespace")
	}
	if slices.Contains(spec.Process.Env, "A=1") || !slices.Contains(spec.Process.Env, "A=2") {
		t.Errorf("environment: %v", spec.Process.Env)
	}
}

func TestRunRejectsInvalidFlags(t *testing.T) {
	for text, args := range map[string][]string{
		"begin with CAP_":  {"--cap-add", "CHOWN", "image", "x"},
		"are required":     {"--mount", "type=bind,src=/s", "image", "x"},
		`unknown key "to"`: {"--mount", "type=bind,to=/s", "image", "x"},
	} {
		if _, err := specOf(t, config, args...); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v: %v", args, err)
		}
	}
	if _, err := specOf(t, image.ImageConfig{}, "image", "x"); err == nil {
		t.Error("accepted a container without a command")
	}
}
