// Package confine adds restrictions to the config.json of a container. They protect files of the
// kernel that belong to the machine, and that root may write without any capability.
//
// One of these files, kernel/core_pattern, names a program that the kernel starts outside of all
// containers. LinuxKit leaves them to the author of the config, and its images do not mention them.
// PID 1 and containerd's launcher use this package, so it imports only the standard library.
package confine

import (
	"encoding/json"
	"slices"
	"strings"
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
//   - A filter of system calls.
//   - An IPC and a cgroup namespace.
//   - Limits of memory, tasks, terminals and files, and a preference of the OOM killer.
//   - readonlyPaths and maskedPaths.
//   - sysfs is read-only unless its options contain "rw": kernel/uevent_helper names a program that
//     the kernel starts.
//   - tmpfs is nosuid and nodev unless its options contain "suid" or "dev".
//
// The last three do not apply to a container with CAP_SYS_ADMIN that may also mount, since it could
// undo them.
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
	allowed, err := allowedWords(data)
	if err != nil {
		return nil, err
	}
	if spec["linux"] == nil {
		return data, nil
	}
	if err := json.Unmarshal(spec["linux"], &linux); err != nil {
		return nil, err
	}
	isOpen := canUndo(capabilities, allowed)
	defaults := map[string]any{"seccomp": filterFor(capabilities, allowed)}
	if !isOpen {
		defaults["readonlyPaths"], defaults["maskedPaths"] = readOnlyPaths, maskedPaths
		if !slices.Contains(capabilities, "CAP_NET_ADMIN") {
			defaults["readonlyPaths"] = append(slices.Clone(readOnlyPaths), networkPath)
		}
	}
	if err := addDefaults(linux, defaults); err != nil {
		return nil, err
	}
	var namespaceTypes []string
	if !isOpen {
		namespaceTypes = append(namespaceTypes, "cgroup")
	}
	if !slices.Contains(allowed, allowIPC) {
		namespaceTypes = append(namespaceTypes, "ipc")
	}
	if linux["namespaces"], err = namespaces(linux["namespaces"], namespaceTypes); err != nil {
		return nil, err
	}
	if linux["resources"], err = resources(linux["resources"]); err != nil {
		return nil, err
	}
	if spec["linux"], err = json.Marshal(linux); err != nil {
		return nil, err
	}
	if spec["process"], err = process(spec["process"]); err != nil {
		return nil, err
	}
	if spec["mounts"], err = mounts(spec["mounts"], isOpen); err != nil {
		return nil, err
	}
	return json.Marshal(spec)
}

// canUndo reports whether a container could make paths writable that Config protects.
func canUndo(capabilities, allowed []string) bool {
	return slices.Contains(capabilities, "CAP_SYS_ADMIN") && (slices.Contains(allowed, allowMount) || slices.Contains(allowed, allowKernel))
}

// addDefaults adds those that object lacks, or has as null.
func addDefaults(object map[string]json.RawMessage, defaults map[string]any) error {
	for key, value := range defaults {
		if has(object, key) {
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			return err
		}
		object[key] = text
	}
	return nil
}

func has(object map[string]json.RawMessage, key string) bool {
	value, found := object[key]
	return found && string(value) != "null"
}

// defaultOOMScore makes the OOM killer prefer a container to PID 1, containerd, and the containers
// of the system, which have negative scores in their labels. Otherwise a container inherits the
// score of its runtime, which must not be killed.
const defaultOOMScore = 500

// defaultFiles limits the descriptors of a process, as systemd does. It also limits the descriptors
// that all processes of a user have in flight between Unix sockets. The kernel compares their
// number with the limit of the sender: a container with a higher limit can always send.
const defaultFiles = 1 << 19

// rlimit is an item of process.rlimits.
type rlimit struct {
	Type string `json:"type"`
	Hard uint64 `json:"hard"`
	Soft uint64 `json:"soft"`
}

func process(data json.RawMessage) (json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	if data != nil {
		if err := json.Unmarshal(data, &fields); err != nil {
			return nil, err
		}
	}
	limits := []rlimit{}
	if has(fields, "rlimits") {
		if err := json.Unmarshal(fields["rlimits"], &limits); err != nil {
			return nil, err
		}
	}
	const files = "RLIMIT_NOFILE"
	if !slices.ContainsFunc(limits, func(l rlimit) bool { return l.Type == files }) {
		text, err := json.Marshal(append(limits, rlimit{files, defaultFiles, defaultFiles}))
		if err != nil {
			return nil, err
		}
		fields["rlimits"] = text
	}
	if err := addDefaults(fields, map[string]any{"oomScoreAdj": defaultOOMScore}); err != nil {
		return nil, err
	}
	return json.Marshal(fields)
}

// namespaces adds new namespaces. Without a cgroup namespace, a container sees the cgroups of all
// containers. In the machine's IPC namespace, shared memory outlives a container and its limits.
func namespaces(data json.RawMessage, types []string) (json.RawMessage, error) {
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
	for _, kind := range types {
		if !slices.ContainsFunc(list, func(n namespace) bool { return n.Type == kind }) {
			list = append(list, namespace{Type: kind})
		}
	}
	return json.Marshal(list)
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

// terminals limits the pseudoterminals of a container; all containers share 4096.
const terminals = "max=256"

// WithoutPanic adds an option to those of an ext4 mount, unless they say what an error does. The
// superblock of an untrusted disk may ask for a panic of the machine.
func WithoutPanic(kind string, options []string) []string {
	isSet := func(option string) bool { return strings.HasPrefix(option, "errors=") }
	if !strings.HasPrefix(kind, "ext") || slices.ContainsFunc(options, isSet) {
		return options
	}
	return append(options, "errors=remount-ro")
}

// mounts adds default options to devpts, ext4, sysfs and tmpfs mounts, of an open container to
// devpts and ext4 only.
func mounts(data json.RawMessage, isOpen bool) (json.RawMessage, error) {
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
		case kind == "devpts":
			if !slices.ContainsFunc(options, func(o string) bool { return strings.HasPrefix(o, "max=") }) {
				options = append(options, terminals)
			}
		case strings.HasPrefix(kind, "ext"):
			options = WithoutPanic(kind, options)
		case isOpen:
			continue
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
