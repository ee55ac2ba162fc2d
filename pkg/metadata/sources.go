package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"lkt/metadata/cloud"
	"lkt/metadata/disk"
	"lkt/metadata/instance"
)

// The default provider is the disk, which the machine's owner attaches. Any station of an untrusted
// network can imitate a service and its login keys, so the config must name those that it trusts.
var defaultProviders = []string{"cdrom"}

// The known providers. Distinguishable services come before those that imitate Amazon's.
var knownProviders = []string{"cdrom", "gcp", "digitalocean", "vultr", "hetzner", "openstack", "scaleway", "aws"}

// Providers of LinuxKit that are not supported, with the reasons.
var unsupported = map[string]string{
	"equinixmetal": "its service is on the internet, and it was shut down",
	"metaldata":    "its address is a host name, which a DNS attacker can take over",
	"vmware":       "it uses I/O ports, which this container may not access",
}

const maxFile = 16 << 20

// source is a provider to read.
type source struct {
	name  string
	named bool // named in the image config
	read  func(ctx context.Context) (*instance.Metadata, error)
}

func selectSources(names []string, devices string) ([]source, error) {
	named := len(names) > 0
	if !named {
		names = defaultProviders
	}
	clouds := cloud.New()
	var sources []source
	for _, name := range names {
		s := source{name: name, named: named}
		path, isFile := strings.CutPrefix(name, "file=")
		switch reason, isUnsupported := unsupported[name]; {
		case isFile:
			s.read = func(context.Context) (*instance.Metadata, error) { return readFile(path) }
		case name == "cdrom":
			s.read = func(context.Context) (*instance.Metadata, error) { return disk.Read(devices) }
		case cloud.Known(name):
			s.read = func(ctx context.Context) (*instance.Metadata, error) { return clouds.Read(ctx, name) }
		case isUnsupported:
			return nil, fmt.Errorf("provider %s: %s\n  fix: attach a metadata disk and use provider cdrom", name, reason)
		default:
			return nil, fmt.Errorf("unknown provider %q\n  fix: use some of %s, file=PATH", name, strings.Join(knownProviders, ", "))
		}
		sources = append(sources, s)
	}
	return sources, nil
}

func readFile(path string) (*instance.Metadata, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s: more than %d bytes", path, maxFile)
	}
	m := instance.New(path)
	m.UserData = data
	return m, nil
}
