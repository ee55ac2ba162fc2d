package main

import (
	"fmt"
	"strings"

	"lkt/metadata/cloud"
)

// The default provider is the disk, which the machine's owner attaches. Any station of an untrusted
// network can imitate a service and its login keys, and any container can set VMware's variables,
// so the config must name those that it trusts.
var defaultProviders = []string{"cdrom"}

// The known providers. Distinguishable services come before those that imitate Amazon's.
var knownProviders = []string{
	"cdrom", "configdrive", "vmware", "gcp", "azure", "digitalocean", "vultr", "hetzner", "openstack", "scaleway", "aws",
}

// Providers of LinuxKit that are not supported, with the reasons.
var unsupported = map[string]string{
	"equinixmetal": "its service is on the internet, and it was shut down",
	"metaldata":    "its address is a host name, which a DNS attacker can take over",
}

const maxFile = 16 << 20

// kind is the process that reads a source.
type kind string

const (
	kindDisks  kind = "disks" // the metadata disk, the config drive, or a file
	kindVMware kind = "vmware"
	kindCloud  kind = "cloud"
)

// source is a provider to read.
type source struct {
	Name  string
	Named bool // named in the image config
	Kind  kind
}

// path returns the path of a file.
func (s source) path() (path string, isFile bool) { return strings.CutPrefix(s.Name, "file=") }

func selectSources(names []string) ([]source, error) {
	named := len(names) > 0
	if !named {
		names = defaultProviders
	}
	var sources []source
	for _, name := range names {
		s := source{Name: name, Named: named, Kind: kindDisks}
		_, isFile := s.path()
		switch reason, isUnsupported := unsupported[name]; {
		case isFile, name == "cdrom", name == "configdrive":
		case name == "vmware":
			s.Kind = kindVMware
		case cloud.Known(name):
			s.Kind = kindCloud
		case isUnsupported:
			return nil, fmt.Errorf("provider %s: %s\n  fix: attach a metadata disk and use provider cdrom", name, reason)
		default:
			return nil, fmt.Errorf("unknown provider %q\n  fix: use some of %s, file=PATH", name, strings.Join(knownProviders, ", "))
		}
		sources = append(sources, s)
	}
	return sources, nil
}
