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
	for capabilities, closed := range map[string]bool{``: true, `"CAP_NET_ADMIN"`: true, `"CAP_SYS_ADMIN"`: true} {
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

func TestConfigAddsNamespaces(t *testing.T) {
	for linux, want := range map[string]string{
		`{}`: "[{cgroup } {ipc }]",
		`{"namespaces": [{"type": "pid"}, {"type": "network", "path": "/run/x"}]}`: "[{pid } {network /run/x} {cgroup } {ipc }]",
		`{"namespaces": [{"type": "cgroup", "path": "/run/y"}, {"type": "ipc"}]}`:  "[{cgroup /run/y} {ipc }]",
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
	for _, word := range []string{"mount", "kernel"} {
		readonly, masked = confined(t, `{"hostname": "x", "linux": {}, "annotations": {"lkt.allow": "ipc `+word+`"},
			"process": {"capabilities": {"bounding": ["CAP_SYS_ADMIN"]}}}`)
		if readonly != nil || masked != nil {
			t.Error(word, readonly, masked)
		}
	}
}

func TestConfigRejectsInvalidJSON(t *testing.T) {
	for _, text := range []string{
		"", "[]", `{"linux": 1}`, `{"process": {"capabilities": 1}}`, `{"linux": {}, "mounts": 1}`,
		`{"linux": {}, "mounts": [{"options": 1}]}`, `{"linux": {"namespaces": 1}}`,
		`{"linux": {"resources": []}}`, `{"linux": {"resources": {"memory": 1}}}`, `{"linux": {}, "annotations": 1}`,
	} {
		if _, err := Config([]byte(text)); err == nil {
			t.Errorf("accepted %q", text)
		}
	}
}

func TestTerminalsAreLimited(t *testing.T) {
	for options, want := range map[string]string{`["newinstance"]`: "newinstance max=256", `["max=9"]`: "max=9"} {
		for _, capability := range []string{"", `"CAP_SYS_ADMIN"`} {
			got := mountsOf(t, capability, `[{"destination": "/dev/pts", "type": "devpts", "options": `+options+`}]`)
			if strings.Join(got[0], " ") != want {
				t.Error(options, got)
			}
		}
	}
}

// The superblock of a disk may say that an error panics the machine.
func TestDisksCannotPanicTheMachine(t *testing.T) {
	for mount, want := range map[string]string{
		`"type": "ext4"`:                                     "errors=remount-ro",
		`"type": "ext2", "options": ["ro"]`:                  "ro errors=remount-ro",
		`"type": "ext4", "options": ["errors=continue"]`:     "errors=continue",
		`"type": "xfs", "options": ["ro"]`:                   "ro",
		`"type": "none", "options": ["bind"], "source": "/"`: "bind",
	} {
		for _, capability := range []string{"", `"CAP_SYS_ADMIN"`} {
			got := mountsOf(t, capability, `[{"destination": "/data", `+mount+`}]`)
			if strings.Join(got[0], " ") != want {
				t.Error(mount, got)
			}
		}
	}
}

func TestFilesAreLimited(t *testing.T) {
	for process, want := range map[string]string{
		`{}`:                "[{RLIMIT_NOFILE 524288 524288}]",
		`{"rlimits": null}`: "[{RLIMIT_NOFILE 524288 524288}]",
		`{"rlimits": [{"type": "RLIMIT_CORE", "hard": 18446744073709551615, "soft": 1}]}`: "[{RLIMIT_CORE 18446744073709551615 1} {RLIMIT_NOFILE 524288 524288}]",
		`{"rlimits": [{"type": "RLIMIT_NOFILE", "hard": 9, "soft": 8}]}`:                  "[{RLIMIT_NOFILE 9 8}]",
	} {
		data, err := Config([]byte(`{"linux": {}, "process": ` + process + `}`))
		if err != nil {
			t.Fatal(err)
		}
		var spec struct{ Process struct{ Rlimits []rlimit } }
		if err := json.Unmarshal(data, &spec); err != nil || fmt.Sprint(spec.Process.Rlimits) != want {
			t.Error(process, spec, err)
		}
	}
	if _, err := Config([]byte(`{"linux": {}, "process": {"rlimits": 1}}`)); err == nil {
		t.Error("accepted a number")
	}
}

func TestOOMKillerPrefersContainers(t *testing.T) {
	for process, want := range map[string]int{`{}`: defaultOOMScore, `{"oomScoreAdj": -9}`: -9, `{"oomScoreAdj": 0}`: 0} {
		data, err := Config([]byte(`{"linux": {}, "process": ` + process + `}`))
		if err != nil {
			t.Fatal(err)
		}
		var spec struct{ Process struct{ OOMScoreAdj int } }
		if err := json.Unmarshal(data, &spec); err != nil || spec.Process.OOMScoreAdj != want {
			t.Error(process, spec, err)
		}
	}
}
