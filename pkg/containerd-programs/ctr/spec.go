package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/containerd/containers"
	"github.com/containerd/containerd/oci"
	image "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/urfave/cli"

	"lkt/confine"
	"lkt/users"
)

// specFlags have the same names as the flags of ctr's own "run".
var specFlags = []cli.Flag{
	cli.StringSliceFlag{Name: "cap-add", Usage: "add a capability, CAP_NAME; default: none"},
	cli.StringFlag{Name: "cwd", Usage: "working directory"},
	cli.StringSliceFlag{Name: "device", Usage: "add a device of the machine, /dev/NAME"},
	cli.StringSliceFlag{Name: "env", Usage: "set an environment variable, NAME=VALUE"},
	cli.StringFlag{Name: "hostname", Usage: "hostname in the container"},
	cli.StringSliceFlag{Name: "label", Usage: "add a label, NAME=VALUE"},
	cli.Uint64Flag{Name: "memory-limit", Usage: "memory limit in bytes"},
	cli.StringSliceFlag{Name: "mount", Usage: "add a mount: type=bind,src=HOSTPATH,dst=PATH,options=rbind:ro"},
	cli.BoolFlag{Name: "net-host", Usage: "use the machine's network; default: no network"},
	cli.Int64Flag{Name: "pids-limit", Usage: "limit of processes and threads; default: 2048"},
	cli.BoolFlag{Name: "read-only", Usage: "mount the root file system read-only"},
	cli.BoolFlag{Name: "tty, t", Usage: "allocate a terminal"},
	cli.StringFlag{Name: "user, u", Usage: "USER[:GROUP], names or IDs; default: the image's user"},
}

// specOptions returns the options of a container's OCI runtime spec. The defaults are those of an
// image's service: no capabilities, no_new_privs and no network. Package lkt/confine adds the rest.
func specOptions(c *cli.Context, config image.ImageConfig, user users.User) ([]oci.SpecOpts, error) {
	args := append(slices.Clone(config.Entrypoint), config.Cmd...)
	if c.NArg() > 2 {
		args = c.Args()[2:]
	}
	if len(args) == 0 {
		return nil, errors.New("the image has no command; give one after the container ID")
	}
	capabilities := c.StringSlice("cap-add")
	for _, name := range capabilities {
		if !strings.HasPrefix(name, "CAP_") {
			return nil, fmt.Errorf("--cap-add %s: capability names begin with CAP_", name)
		}
	}
	mounts, err := parseMounts(c.StringSlice("mount"))
	if err != nil {
		return nil, err
	}
	options := []oci.SpecOpts{
		oci.WithDefaultSpec(), oci.WithDefaultUnixDevices, oci.WithDefaultPathEnv,
		oci.WithEnv(config.Env), oci.WithEnv(c.StringSlice("env")),
		oci.WithProcessArgs(args...), oci.WithMounts(mounts), withUser(user),
		oci.WithCapabilities(capabilities),
	}
	for _, directory := range []string{config.WorkingDir, c.String("cwd")} {
		if directory != "" {
			options = append(options, oci.WithProcessCwd(directory))
		}
	}
	if c.Bool("net-host") {
		options = append(options, oci.WithHostNamespace(specs.NetworkNamespace), oci.WithHostResolvconf)
	}
	if c.Bool("read-only") {
		options = append(options, oci.WithRootFSReadonly())
	}
	if c.Bool("tty") {
		options = append(options, oci.WithTTY)
	}
	if name := c.String("hostname"); name != "" {
		options = append(options, oci.WithHostname(name))
	}
	if limit := c.Uint64("memory-limit"); limit > 0 {
		options = append(options, oci.WithMemoryLimit(limit))
	}
	if limit := c.Int64("pids-limit"); limit > 0 {
		options = append(options, oci.WithPidsLimit(limit))
	}
	for _, device := range c.StringSlice("device") {
		options = append(options, oci.WithDevices(device, "", "rwm"))
	}
	// The filter of system calls allows those of the capabilities, so it comes after them.
	return append(options, confined), nil
}

func withUser(user users.User) oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
		s.Process.User = specs.User{UID: user.UID, GID: user.GID, AdditionalGids: user.Groups}
		return nil
	}
}

// confined applies the restrictions of package confine, as for all containers of this machine.
func confined(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if data, err = confine.Config(data); err != nil {
		return err
	}
	*s = oci.Spec{}
	return json.Unmarshal(data, s)
}

// parseMounts parses mounts in ctr's form: type=TYPE,src=PATH,dst=PATH,options=ONE:OTHER.
func parseMounts(texts []string) ([]specs.Mount, error) {
	var mounts []specs.Mount
	for _, text := range texts {
		fields, err := csv.NewReader(strings.NewReader(text)).Read()
		if err != nil {
			return nil, fmt.Errorf("--mount %s: %w", text, err)
		}
		var mount specs.Mount
		for _, field := range fields {
			switch key, value, _ := strings.Cut(field, "="); key {
			case "type":
				mount.Type = value
			case "source", "src":
				mount.Source = value
			case "destination", "dst":
				mount.Destination = value
			case "options":
				mount.Options = strings.Split(value, ":")
			default:
				return nil, fmt.Errorf("--mount %s: unknown key %q", text, key)
			}
		}
		if mount.Type == "" || mount.Source == "" || mount.Destination == "" {
			return nil, fmt.Errorf("--mount %s: type, src and dst are required", text)
		}
		mounts = append(mounts, mount)
	}
	return mounts, nil
}
