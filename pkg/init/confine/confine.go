// Package confine closes what the config.json of a container leaves open: files of the kernel that belong to the machine, and
// that the user root may write without any capability.
//
// One of them, kernel/core_pattern, names a program that the kernel starts outside of all containers. LinuxKit leaves them to
// whoever writes the config, and its images say nothing about them. It imports nothing but the standard library: PID 1 uses
// it, and containerd's launcher.
package confine

import (
	"encoding/json"
	"fmt"
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

// Config gives the config.json of a container (OCI runtime spec) with readonlyPaths and maskedPaths, each where it has none. Its
// sysfs is read-only unless the options say "rw": kernel/uevent_helper, too, names a program that the kernel starts. No file of
// a tmpfs is setuid or a device unless the options say "suid" or "dev", as in what PID 1 mounts for a bundle. It has a cgroup
// namespace, and a limit of tasks and a filter of system calls if it has none of its own. A container with CAP_SYS_ADMIN could
// undo most of that, and is left as it is.
func Config(data []byte) ([]byte, error) {
	var spec, linux map[string]json.RawMessage
	if err := json.Unmarshal(data, &spec); err != nil {
		return nil, err
	}
	capabilities, err := capabilitiesOf(data)
	if err != nil {
		return nil, err
	}
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
	for key, value := range map[string]any{"readonlyPaths": paths, "maskedPaths": masked, "seccomp": filter} {
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

// namespaces adds one for cgroups: else the container sees those of all, and where its own is among them.
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

// mostTasks is what podman allows a container that says nothing.
const mostTasks = 2048

// resources limits how many processes and threads there are, if that is open: all containers and PID 1 take them from one store.
func resources(data json.RawMessage) (json.RawMessage, error) {
	limits := map[string]json.RawMessage{}
	if data != nil {
		if err := json.Unmarshal(data, &limits); err != nil {
			return nil, err
		}
	}
	if pids, found := limits["pids"]; !found || string(pids) == "null" {
		limits["pids"] = json.RawMessage(fmt.Sprintf(`{"limit":%d}`, mostTasks))
	}
	return json.Marshal(limits)
}

func isPowerful(config []byte) (bool, error) {
	capabilities, err := capabilitiesOf(config)
	return slices.Contains(capabilities, "CAP_SYS_ADMIN"), err
}

// capabilitiesOf are those that no process of a container can go beyond.
func capabilitiesOf(config []byte) ([]string, error) {
	var spec struct {
		Process struct {
			Capabilities struct{ Bounding []string }
		}
	}
	err := json.Unmarshal(config, &spec)
	return spec.Process.Capabilities.Bounding, err
}

// mounts closes the file systems whose options do not say that they are open.
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
			options = choose(options, "ro", "rw")
		case kind == "tmpfs" && destination == "/dev":
			options = choose(options, "nosuid", "suid")
		case kind == "tmpfs":
			options = choose(choose(options, "nosuid", "suid"), "nodev", "dev")
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

// choose adds the closed one of two options where there is neither.
func choose(options []string, closed, open string) []string {
	if slices.Contains(options, closed) || slices.Contains(options, open) {
		return options
	}
	return append(options, closed)
}
