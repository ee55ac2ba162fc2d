package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"

	"lkt/confine"
)

// spec returns the OCI runtime spec of a bundle. The caller calls release once the container has
// been created.
func (s *services) spec(dir, name string) (spec *specs.Spec, release func(), err error) {
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		return nil, nil, err
	}
	if data, err = confine.Config(data); err != nil {
		return nil, nil, fmt.Errorf("%s/config.json: %w", dir, err)
	}
	release = func() {}
	if s.bindsDir != "" {
		if data, release, err = confine.Binds(data, filepath.Join(s.bindsDir, name)); err != nil {
			return nil, nil, err
		}
	}
	if spec, err = parseSpec(data, dir, name); err != nil {
		release()
		return nil, nil, err
	}
	return spec, release, nil
}

func parseSpec(data []byte, dir, name string) (*specs.Spec, error) {
	var spec specs.Spec
	if err := json.Unmarshal(data, &spec); err != nil {
		return nil, fmt.Errorf("%s/config.json: %w", dir, err)
	}
	if spec.Root == nil || spec.Linux == nil || spec.Process == nil {
		return nil, fmt.Errorf("%s/config.json: not a Linux container", dir)
	}
	if !filepath.IsAbs(spec.Root.Path) {
		spec.Root.Path = filepath.Join(dir, spec.Root.Path)
	}
	if spec.Linux.CgroupsPath == "" {
		spec.Linux.CgroupsPath = "/services/" + name
	}
	return &spec, nil
}
