// Package bundle prepares the file systems of a container, as its runtime.json describes, before
// the container is created.
//
// A bundle is a directory with config.json (OCI runtime spec), runtime.json (this package) and
// rootfs.
package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Runtime is the content of runtime.json.
type Runtime struct {
	Cgroups    []string    `json:"cgroups"`
	Mounts     []Mount     `json:"mounts"`
	Mkdir      []string    `json:"mkdir"`
	Interfaces []Interface `json:"interfaces"`
	BindNS     Namespaces  `json:"bindNS"`
	Namespace  string      `json:"namespace"`
	// OnFailure is the reaction to the failure of an onboot or onshutdown container: "poweroff",
	// "reboot", or empty to run the next container.
	OnFailure string `json:"onfailure"`
}

// Mount is a mount in the form of the OCI runtime spec.
type Mount struct {
	Destination string   `json:"destination"`
	Type        string   `json:"type"`
	Source      string   `json:"source"`
	Options     []string `json:"options"`
}

// Interface is a network interface to move into the container.
type Interface struct {
	Name         string `json:"name"`
	Add          string `json:"add"`
	Peer         string `json:"peer"`
	CreateInRoot bool   `json:"createInRoot"`
}

// Namespaces are the paths to which the namespaces of the container are bound.
type Namespaces struct {
	Cgroup *string `json:"cgroup"`
	IPC    *string `json:"ipc"`
	Mnt    *string `json:"mnt"`
	Net    *string `json:"net"`
	Pid    *string `json:"pid"`
	User   *string `json:"user"`
	UTS    *string `json:"uts"`
}

// Load reads the runtime.json of the bundle in dir. Without the file it returns the zero value.
func Load(dir string) (*Runtime, error) {
	data, err := os.ReadFile(filepath.Join(dir, "runtime.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return &Runtime{}, nil
	}
	if err != nil {
		return nil, err
	}
	var r Runtime
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("%s/runtime.json: %w", dir, err)
	}
	return &r, nil
}

// Prepare makes the mounts, directories and cgroups of the bundle in dir. undo removes the mounts.
func (r *Runtime) Prepare(dir string) (undo func(), err error) {
	var mounted []string
	undo = func() {
		for i := len(mounted) - 1; i >= 0; i-- {
			_ = unix.Unmount(mounted[i], unix.MNT_DETACH)
		}
	}
	for _, m := range r.Mounts {
		target := resolvePath(dir, m.Destination)
		isNew, err := m.mount(target)
		if err != nil {
			undo()
			return nil, fmt.Errorf("mount %s on %s: %w", m.Source, target, err)
		}
		if isNew {
			mounted = append(mounted, target)
		}
	}
	for _, path := range r.Mkdir {
		if err := os.MkdirAll(resolvePath(dir, path), 0o755); err != nil {
			undo()
			return nil, err
		}
	}
	for _, name := range r.Cgroups {
		if err := MakeCgroup("/sys/fs/cgroup", name); err != nil {
			undo()
			return nil, err
		}
	}
	return undo, nil
}

// NeedsProcess reports whether AttachProcess must run between the creation and the start of the
// container.
func (r *Runtime) NeedsProcess() bool {
	return len(r.Interfaces) > 0 || len(r.BindNS.pairs()) > 0
}

// AttachProcess binds the namespaces of the created container's process.
func (r *Runtime) AttachProcess(pid int) error {
	if len(r.Interfaces) > 0 {
		return fmt.Errorf("runtime.interfaces (%s) is not supported", r.Interfaces[0].Name)
	}
	for kind, path := range r.BindNS.pairs() {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return err
		}
		f.Close()
		if err := unix.Mount(fmt.Sprintf("/proc/%d/ns/%s", pid, kind), path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind the %s namespace to %s: %w", kind, path, err)
		}
	}
	return nil
}

// MakeCgroup creates a cgroup and enables all controllers in its ancestors.
func MakeCgroup(root, name string) error {
	dir := root
	for _, part := range strings.Split(filepath.Clean("/" + name)[1:], "/") {
		if part == "" {
			continue
		}
		if err := EnableControllers(dir); err != nil {
			return err
		}
		dir = filepath.Join(dir, part)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// EnableControllers enables all controllers of the cgroup dir for its children.
func EnableControllers(dir string) error {
	data, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(dir, "cgroup.subtree_control"), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	for _, controller := range strings.Fields(string(data)) {
		if _, err := file.WriteString("+" + controller); err != nil {
			return fmt.Errorf("cgroup controller %s: %w", controller, err)
		}
	}
	return nil
}

// resolvePath resolves a relative path below the container's root.
func resolvePath(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, "rootfs", path)
}

func (n Namespaces) pairs() map[string]string {
	pairs := map[string]string{}
	for kind, path := range map[string]*string{
		"cgroup": n.Cgroup, "ipc": n.IPC, "mnt": n.Mnt, "net": n.Net, "pid": n.Pid, "user": n.User, "uts": n.UTS,
	} {
		if path != nil && *path != "" {
			pairs[kind] = *path
		}
	}
	return pairs
}
