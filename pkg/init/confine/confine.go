// Package confine closes what the config.json of a container leaves open: files of the kernel that belong to the machine, and
// that the user root may write without any capability.
//
// One of them, kernel/core_pattern, names a program that the kernel starts outside of all containers. LinuxKit leaves them to
// whoever writes the config, and its images say nothing about them. It imports nothing but the standard library: PID 1 uses
// it, and containerd's launcher.
package confine

import (
	"encoding/json"
	"slices"
)

// readOnly are files that tell what a container may want to know, and cannot be changed.
var readOnly = []string{
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sysrq-trigger",
	"/proc/sys/abi", "/proc/sys/debug", "/proc/sys/dev", "/proc/sys/fs", "/proc/sys/kernel", "/proc/sys/user", "/proc/sys/vm",
}

// network is for the machine's network, which a container with CAP_NET_ADMIN may change anyway.
const network = "/proc/sys/net"

// masked are files that look empty.
var masked = []string{
	"/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
	"/proc/timer_stats", "/sys/firmware",
}

// Config gives the config.json of a container (OCI runtime spec) with readonlyPaths and maskedPaths, each where it has none, and
// makes a sysfs of it read-only unless its options say "rw": kernel/uevent_helper, too, names a program that the kernel starts.
// A container with CAP_SYS_ADMIN could undo them, and is left as it is.
func Config(data []byte) ([]byte, error) {
	var spec, linux map[string]json.RawMessage
	var process struct {
		Process struct {
			Capabilities struct{ Bounding []string }
		}
	}
	if err := json.Unmarshal(data, &spec); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &process); err != nil {
		return nil, err
	}
	capabilities := process.Process.Capabilities.Bounding
	if spec["linux"] == nil || slices.Contains(capabilities, "CAP_SYS_ADMIN") {
		return data, nil
	}
	if err := json.Unmarshal(spec["linux"], &linux); err != nil {
		return nil, err
	}
	paths := readOnly
	if !slices.Contains(capabilities, "CAP_NET_ADMIN") {
		paths = append(slices.Clone(paths), network)
	}
	for key, list := range map[string][]string{"readonlyPaths": paths, "maskedPaths": masked} {
		if _, found := linux[key]; found {
			continue
		}
		text, err := json.Marshal(list)
		if err != nil {
			return nil, err
		}
		linux[key] = text
	}
	text, err := json.Marshal(linux)
	if err != nil {
		return nil, err
	}
	spec["linux"] = text
	if spec["mounts"], err = mounts(spec["mounts"]); err != nil {
		return nil, err
	}
	return json.Marshal(spec)
}

// mounts makes each sysfs read-only whose options do not say what it is to be.
func mounts(data json.RawMessage) (json.RawMessage, error) {
	list := []map[string]json.RawMessage{}
	if data != nil {
		if err := json.Unmarshal(data, &list); err != nil {
			return nil, err
		}
	}
	for _, mount := range list {
		var kind string
		var options []string
		for key, value := range map[string]any{"type": &kind, "options": &options} {
			if mount[key] == nil {
				continue
			}
			if err := json.Unmarshal(mount[key], value); err != nil {
				return nil, err
			}
		}
		if kind != "sysfs" || slices.Contains(options, "rw") || slices.Contains(options, "ro") {
			continue
		}
		text, err := json.Marshal(append(options, "ro"))
		if err != nil {
			return nil, err
		}
		mount["options"] = text
	}
	return json.Marshal(list)
}
