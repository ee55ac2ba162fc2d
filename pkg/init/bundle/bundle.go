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
	"slices"
	"strings"
	"time"

	"lkt/init/confine"
	"lkt/init/interfaces"
)

// Runtime is the content of runtime.json.
type Runtime struct {
	Cgroups    []string               `json:"cgroups"`
	Mounts     []Mount                `json:"mounts"`
	Mkdir      []Directory            `json:"mkdir"`
	Interfaces []interfaces.Interface `json:"interfaces"`
	BindNS     Namespaces             `json:"bindNS"`
	Namespace  string                 `json:"namespace"`
	// OnFailure is the reaction to the failure of an onboot or onshutdown container: "poweroff",
	// "reboot", or empty to run the next container.
	OnFailure string `json:"onfailure"`
	// Timeout is how long an onboot or onshutdown container may run, in seconds; 0 means the
	// stage's default.
	Timeout float64 `json:"timeout"`
}

// Mount is a mount in the form of the OCI runtime spec.
type Mount struct {
	Destination string   `json:"destination"`
	Type        string   `json:"type"`
	Source      string   `json:"source"`
	Options     []string `json:"options"`
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

// Prepare makes the mounts, directories and cgroups of the bundle in dir. undo removes the mounts
// in the bundle. Those elsewhere on the machine stay, for other containers, as in LinuxKit.
func (r *Runtime) Prepare(dir string) (undo func(), err error) {
	var all, inside []string
	remove := func(mounted []string) {
		for _, path := range slices.Backward(mounted) {
			unmount(dir, path)
		}
	}
	defer func() {
		if err != nil {
			remove(all)
		}
	}()
	for _, m := range r.Mounts {
		isNew, err := m.mountIn(dir)
		if isNew {
			all = append(all, m.Destination)
			if isInside(dir, m.Destination) {
				inside = append(inside, m.Destination)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("mount %s on %s: %w", m.Source, m.Destination, err)
		}
	}
	for _, d := range r.Mkdir {
		if err := d.makeIn(dir); err != nil {
			return nil, err
		}
	}
	for _, name := range r.Cgroups {
		if err := MakeCgroup("/sys/fs/cgroup", name); err != nil {
			return nil, err
		}
	}
	return func() { remove(inside) }, nil
}

// isInside reports whether a path is in the bundle in dir. A relative one is in its root.
func isInside(dir, path string) bool {
	if !filepath.IsAbs(path) {
		return true
	}
	relative, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(relative)
}

// TimeLimit returns how long the container may run, or without a valid timeout the default.
func (r *Runtime) TimeLimit(byDefault time.Duration) time.Duration {
	const limit = 24 * time.Hour
	if !(r.Timeout > 0) {
		return byDefault
	}
	return time.Duration(min(r.Timeout, limit.Seconds()) * float64(time.Second))
}

// NeedsProcess reports whether AttachProcess must run between the creation and the start of the
// container.
func (r *Runtime) NeedsProcess() bool {
	return len(r.Interfaces) > 0 || len(r.BindNS.pairs()) > 0
}

// AttachProcess gives network interfaces to the created container's process, and binds its
// namespaces.
func (r *Runtime) AttachProcess(pid int) error {
	if err := interfaces.Attach(r.Interfaces, pid); err != nil {
		return err
	}
	for kind, path := range r.BindNS.pairs() {
		if err := confine.BindNamespace(pid, kind, path); err != nil {
			return err
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
