package confine

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func confined(t *testing.T, text string) (readonly, masked []string) {
	t.Helper()
	data, err := Config([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var spec struct {
		Hostname string
		Linux    struct{ ReadonlyPaths, MaskedPaths []string }
	}
	if err := json.Unmarshal(data, &spec); err != nil {
		t.Fatal(err)
	}
	if spec.Hostname != "x" {
		t.Errorf("other fields are lost: %s", data)
	}
	return spec.Linux.ReadonlyPaths, spec.Linux.MaskedPaths
}

func TestConfigDefaults(t *testing.T) {
	for _, text := range []string{
		`{"hostname": "x", "linux": {}}`,
		`{"hostname": "x", "linux": {"namespaces": []}, "process": {"capabilities": {"bounding": ["CAP_CHOWN"]}}}`,
	} {
		readonly, masked := confined(t, text)
		for _, path := range []string{"/proc/sys/kernel", "/proc/sysrq-trigger", "/proc/sys/net"} {
			if !slices.Contains(readonly, path) {
				t.Errorf("%s is writable", path)
			}
		}
		if !slices.Contains(masked, "/proc/kcore") {
			t.Error("/proc/kcore is readable")
		}
	}
}

func TestNetAdminMayWriteNetSysctls(t *testing.T) {
	readonly, _ := confined(t, `{"hostname": "x", "linux": {}, "process": {"capabilities": {"bounding": ["CAP_NET_ADMIN"]}}}`)
	if slices.Contains(readonly, "/proc/sys/net") || !slices.Contains(readonly, "/proc/sys/kernel") {
		t.Error(readonly)
	}
}

// mountsOf returns the mount options that Config sets for a container with these capabilities.
func mountsOf(t *testing.T, capabilities, mounts string) (options [][]string) {
	t.Helper()
	data, err := Config([]byte(`{"linux": {}, "mounts": ` + mounts + `, "process": {"capabilities": {"bounding": [` + capabilities + `]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	var spec struct {
		Mounts []struct {
			Destination string
			Options     []string
		}
	}
	if err := json.Unmarshal(data, &spec); err != nil {
		t.Fatal(err)
	}
	for _, mount := range spec.Mounts {
		if mount.Destination == "" {
			t.Errorf("other fields are lost: %s", data)
		}
		options = append(options, mount.Options)
	}
	return options
}

func TestSysfsIsReadOnly(t *testing.T) {
	mounts := `[{"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid"]},
		{"destination": "/also", "type": "sysfs"}, {"destination": "/proc", "type": "proc", "options": ["nosuid"]}]`
	for capabilities, closed := range map[string]bool{``: true, `"CAP_NET_ADMIN"`: true, `"CAP_SYS_ADMIN"`: false} {
		options := mountsOf(t, capabilities, mounts)
		if len(options) != 3 || slices.Contains(options[0], "ro") != closed || slices.Contains(options[1], "ro") != closed ||
			!slices.Contains(options[0], "nosuid") || slices.Contains(options[2], "ro") {
			t.Error(capabilities, options)
		}
	}
}

func TestConfigKeepsSysfsOptions(t *testing.T) {
	for _, mount := range []string{
		`{"destination": "/sys", "type": "sysfs", "options": ["rw", "nosuid"]}`,
		`{"destination": "/sys", "type": "bind", "source": "/sys", "options": ["rbind"]}`,
		`{"destination": "/sys", "type": "sysfs", "options": ["ro"]}`,
	} {
		before := strings.Count(mount, `"ro"`)
		if options := mountsOf(t, "", "["+mount+"]"); strings.Count(strings.Join(options[0], " "), "ro") != before {
			t.Error(mount, options)
		}
	}
}

func TestTmpfsDefaultsToNosuidNodev(t *testing.T) {
	for mount, want := range map[string]string{
		`{"destination": "/tmp", "type": "tmpfs", "options": ["size=1m"]}`:         "size=1m nosuid nodev",
		`{"destination": "/tmp", "type": "tmpfs", "options": ["nodev", "nosuid"]}`: "nodev nosuid",
		`{"destination": "/tmp", "type": "tmpfs", "options": ["suid", "dev"]}`:     "suid dev",
		`{"destination": "/dev", "type": "tmpfs"}`:                                 "nosuid",
	} {
		if options := mountsOf(t, "", "["+mount+"]"); strings.Join(options[0], " ") != want {
			t.Error(mount, options)
		}
	}
}

// linuxOf returns the section "linux" that Config produces.
func linuxOf(t *testing.T, capabilities, linux string) (is struct {
	Namespaces []struct{ Type, Path string }
	Seccomp    *seccomp
}) {
	t.Helper()
	data, err := Config([]byte(`{"linux": ` + linux + `, "process": {"capabilities": {"bounding": [` + capabilities + `]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	var spec struct{ Linux any }
	spec.Linux = &is
	if err := json.Unmarshal(data, &spec); err != nil {
		t.Fatal(err)
	}
	return is
}

func TestSeccompRejectsKeyCalls(t *testing.T) {
	is := linuxOf(t, "", `{}`).Seccomp
	if is == nil || is.DefaultAction != "SCMP_ACT_ALLOW" || len(is.Architectures) == 0 || !slices.Contains(is.Syscalls[0].Names, "keyctl") {
		t.Errorf("%+v", is)
	}
	own := linuxOf(t, "", `{"seccomp": {"defaultAction": "SCMP_ACT_ERRNO"}}`).Seccomp
	if own.DefaultAction != "SCMP_ACT_ERRNO" || own.Syscalls != nil {
		t.Errorf("%+v", own)
	}
	if is := linuxOf(t, `"CAP_SYS_ADMIN"`, `{}`).Seccomp; is != nil {
		t.Errorf("%+v", is)
	}
}

func TestConfigAddsOneCgroupNamespace(t *testing.T) {
	for linux, want := range map[string]string{
		`{}`: "[{cgroup }]",
		`{"namespaces": [{"type": "pid"}, {"type": "network", "path": "/run/x"}]}`: "[{pid } {network /run/x} {cgroup }]",
		`{"namespaces": [{"type": "cgroup", "path": "/run/y"}]}`:                   "[{cgroup /run/y}]",
	} {
		if got := fmt.Sprint(linuxOf(t, "", linux).Namespaces); got != want {
			t.Errorf("%s instead of %s", got, want)
		}
	}
}

func TestConfigKeepsOwnPaths(t *testing.T) {
	readonly, masked := confined(t, `{"hostname": "x", "linux": {"readonlyPaths": ["/proc/bus"]}}`)
	if !slices.Equal(readonly, []string{"/proc/bus"}) || len(masked) == 0 {
		t.Error(readonly, masked)
	}
	readonly, masked = confined(t, `{"hostname": "x", "linux": {}, "process": {"capabilities": {"bounding": ["CAP_SYS_ADMIN"]}}}`)
	if readonly != nil || masked != nil {
		t.Error(readonly, masked)
	}
}

func TestConfigRejectsInvalidJSON(t *testing.T) {
	for _, text := range []string{
		"", "[]", `{"linux": 1}`, `{"process": {"capabilities": 1}}`, `{"linux": {}, "mounts": 1}`,
		`{"linux": {}, "mounts": [{"options": 1}]}`, `{"linux": {"namespaces": 1}}`,
	} {
		if _, err := Config([]byte(text)); err == nil {
			t.Errorf("accepted %q", text)
		}
	}
}

func TestConfigLimitsPids(t *testing.T) {
	for linux, want := range map[string]string{
		`{}`: `{"pids":{"limit":2048}}`,
		`{"resources": {"memory": {"limit": 9}}}`: `{"memory":{"limit":9},"pids":{"limit":2048}}`,
		`{"resources": {"pids": {"limit": 64}}}`:  `{"pids":{"limit":64}}`,
		`{"resources": {"pids": null}}`:           `{"pids":{"limit":2048}}`,
	} {
		data, err := Config([]byte(`{"linux": ` + linux + `}`))
		if err != nil {
			t.Fatal(err)
		}
		var spec struct {
			Linux struct{ Resources json.RawMessage }
		}
		if err := json.Unmarshal(data, &spec); err != nil {
			t.Fatal(err)
		}
		if got := string(spec.Linux.Resources); got != want {
			t.Errorf("%s: %s", linux, got)
		}
	}
	if _, err := Config([]byte(`{"linux": {"resources": []}}`)); err == nil {
		t.Error("accepted a list as resources")
	}
}
