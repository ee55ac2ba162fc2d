package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"lkt/metadata/cloud"
	"lkt/metadata/disk"
	"lkt/metadata/found"
)

// What is asked when no one is named. The disk is first: it is from whoever runs the machine, and nobody waits for it. Of the services,
// those first that can be told from the others; what is Amazon's others have too.
var usual = []string{"cdrom", "gcp", "digitalocean", "vultr", "hetzner", "openstack", "scaleway", "aws"}

// Providers of LinuxKit's that are not asked here, and why.
var refused = map[string]string{
	"equinixmetal": "it is asked over the internet, and it has ended",
	"metaldata":    "its address is a name, which anyone who answers for name servers can take",
	"vmware":       "it is asked through ports of the processor, for which this container has no leave",
}

const maxFile = 16 << 20

// source is one that may tell of this machine.
type source struct {
	name  string
	named bool // by whoever wrote the image config
	read  func(ctx context.Context) (*found.Metadata, error)
}

func sourcesOf(names []string, devices string) ([]source, error) {
	named := len(names) > 0
	if !named {
		names = usual
	}
	clouds := cloud.New()
	var sources []source
	for _, name := range names {
		s := source{name: name, named: named}
		path, isFile := strings.CutPrefix(name, "file=")
		switch why, isRefused := refused[name]; {
		case isFile:
			s.read = func(context.Context) (*found.Metadata, error) { return readFile(path) }
		case name == "cdrom":
			s.read = func(context.Context) (*found.Metadata, error) { return disk.Read(devices) }
		case cloud.Known(name):
			s.read = func(ctx context.Context) (*found.Metadata, error) { return clouds.Read(ctx, name) }
		case isRefused:
			return nil, fmt.Errorf("provider %s: %s\n  fix: give the machine its metadata on a disk, provider cdrom", name, why)
		default:
			return nil, fmt.Errorf("provider %q is not known\n  fix: name some of %s, file=PATH", name, strings.Join(usual, ", "))
		}
		sources = append(sources, s)
	}
	return sources, nil
}

func readFile(path string) (*found.Metadata, error) {
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
	m := found.New(path)
	m.UserData = data
	return m, nil
}
