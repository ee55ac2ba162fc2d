package confine

import (
	"encoding/json"
	"strings"
)

// allowAnnotation lists what the config of a container allows beyond the defaults, separated by
// blanks.
const allowAnnotation = "lkt.allow"

// The words of allowAnnotation.
const (
	allowBPF        = "bpf"        // BPF programs, such as filters of devices
	allowIPC        = "ipc"        // the machine's IPC namespace, if the config has no other
	allowKernel     = "kernel"     // parameters of the kernel in /proc and /sys, and perf events
	allowKeys       = "keys"       // keyrings, which containers of equal users share
	allowMount      = "mount"      // mounts, and handles and events of files of a whole file system
	allowNamespaces = "namespaces" // entering and creating namespaces
	allowVSock      = "vsock"      // sockets of the hypervisor
)

// allowedWords returns the words of a container's config.
func allowedWords(config []byte) ([]string, error) {
	var spec struct{ Annotations map[string]string }
	err := json.Unmarshal(config, &spec)
	return strings.Fields(spec.Annotations[allowAnnotation]), err
}
