// Package confine adds restrictions to the config.json of a container: it protects files of the
// kernel that belong to the machine and that root may write without any capability.
//
// One of them, kernel/core_pattern, names a program that the kernel starts outside of all
// containers. LinuxKit leaves them to the author of the config, and its images do not mention them.
// PID 1 and containerd's launcher use this package, so it imports only the standard library.
package confine

import (
	"encoding/json"
	"fmt"
	"slices"
)

// readOnlyPaths are files that containers may read but not change.
var readOnlyPaths = []string{
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sysrq-trigger",
	"/proc/sys/abi", "/proc/sys/debug", "/proc/sys/dev", "/proc/sys/fs", "/proc/sys/kernel", "/proc/sys/user", "/proc/sys/vm",
}

// networkPath belongs to the machine's network, which a container with CAP_NET_ADMIN may change
// anyway.
const networkPath = "/proc/sys/net"

// maskedPaths are files that appear empty.
var maskedPaths = []string{
	"/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
	"/proc/timer_stats", "/sys/firmware",
}

// Config returns the config.json of a container (OCI runtime spec) with these restrictions, where
// the config does not define its own:
//
//   - readonlyPaths and maskedPaths.
//   - sysfs is read-only unless its options contain "rw": kernel/uevent_helper names a program that
//     the kernel starts.
//   - tmpfs is nosuid and nodev unless its options contain "suid" or "dev".
//   - A cgroup namespace, a limit of tasks, and a seccomp filter.
//
// A container with CAP_SYS_ADMIN could undo most of this, so its config is returned unchanged.
func Config(data []byte) ([]byte, error) {
	var spec, linux map[string]json.RawMessage
	if err := json.Unmarshal(data, &spec); err != nil {
		return nil, err
	}
	if err := checkKeys(data, ""); err != nil {
		return nil, err
	}
	capabilities, err := boundingSet(data)
	if err != nil {
		return nil, err
	}
	if spec["linux"] == nil || slices.Contains(capabilities, "CAP_SYS_ADMIN") {
		return data, nil
	}
	if err := json.Unmarshal(spec["linux"], &linux); err != nil {
		return nil, err
	}
	paths := readOnlyPaths
	if !slices.Contains(capabilities, "CAP_NET_ADMIN") {
		paths = append(slices.Clone(paths), networkPath)
	}
	for key, value := range map[string]any{"readonlyPaths": paths, "maskedPaths": maskedPaths, "seccomp": seccompFilter} {
		if _, found := linux[key]; found {
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		linux[key] = text
	}
	if linux["namespaces"], err = namespaces(linux["namespaces"]); err != nil {
		return nil, err
	}
	if linux["resources"], err = resources(linux["resources"]); err != nil {
		return nil, err
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

// namespaces adds a cgroup namespace. Without one, a container sees the cgroups of all containers.
func namespaces(data json.RawMessage) (json.RawMessage, error) {
	type namespace struct {
		Type string `json:"type"`
		Path string `json:"path,omitempty"`
	}
	list := []namespace{}
	if data != nil {
		if err := json.Unmarshal(data, &list); err != nil {
			return nil, err
		}
	}
	if !slices.ContainsFunc(list, func(n namespace) bool { return n.Type == "cgroup" }) {
		list = append(list, namespace{Type: "cgroup"})
	}
	return json.Marshal(list)
}

// defaultPidsLimit is podman's default.
const defaultPidsLimit = 2048

// resources adds a default limit of processes and threads, because all containers and PID
// 1 share one pool.
func resources(data json.RawMessage) (json.RawMessage, error) {
	limits := map[string]json.RawMessage{}
	if data != nil {
		if err := json.Unmarshal(data, &limits); err != nil {
			return nil, err
		}
	}
	if pids, found := limits["pids"]; !found || string(pids) == "null" {
		limits["pids"] = json.RawMessage(fmt.Sprintf(`{"limit":%d}`, defaultPidsLimit))
	}
	return json.Marshal(limits)
}

func hasSysAdmin(config []byte) (bool, error) {
	capabilities, err := boundingSet(config)
	return slices.Contains(capabilities, "CAP_SYS_ADMIN"), err
}

// boundingSet returns the capabilities in the container's bounding set.
func boundingSet(config []byte) ([]string, error) {
	var spec struct {
		Process struct {
			Capabilities struct{ Bounding []string }
		}
	}
	err := json.Unmarshal(config, &spec)
	return spec.Process.Capabilities.Bounding, err
}

// mounts adds default options to sysfs and tmpfs mounts.
func mounts(data json.RawMessage) (json.RawMessage, error) {
	list := []map[string]json.RawMessage{}
	if data != nil {
		if err := json.Unmarshal(data, &list); err != nil {
			return nil, err
		}
	}
	for _, mount := range list {
		var destination, kind string
		var options []string
		for key, value := range map[string]any{"destination": &destination, "type": &kind, "options": &options} {
			if mount[key] == nil {
				continue
			}
			if err := json.Unmarshal(mount[key], value); err != nil {
				return nil, err
			}
		}
		switch {
		case kind == "sysfs":
			options = addDefault(options, "ro", "rw")
		case kind == "tmpfs" && destination == "/dev":
			options = addDefault(options, "nosuid", "suid")
		case kind == "tmpfs":
			options = addDefault(addDefault(options, "nosuid", "suid"), "nodev", "dev")
		default:
			continue
		}
		text, err := json.Marshal(options)
		if err != nil {
			return nil, err
		}
		mount["options"] = text
	}
	return json.Marshal(list)
}

// addDefault adds the option closed unless the options contain it or its opposite, open.
func addDefault(options []string, closed, open string) []string {
	if slices.Contains(options, closed) || slices.Contains(options, open) {
		return options
	}
	return append(options, closed)
}
