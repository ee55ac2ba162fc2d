package main

import (
	"encoding/json"
	"os"
	"path/filepath"

	"lkt/init/confine"
)

const (
	// bundlesDir has the bundles for the runtime. The bundles of the image are read-only.
	bundlesDir = "/run/lkt/bundles"
	// bindsDir has their bind sources, while the containers are created.
	bindsDir = "/run/lkt/binds"
)

// confinedBundle writes a bundle for the runtime: the config.json of dir with the restrictions of
// package confine and an absolute root path. The caller calls release once the container has been
// created.
func confinedBundle(dir, name string) (bundle string, release func(), err error) {
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		return "", nil, err
	}
	if data, err = confine.Config(data); err != nil {
		return "", nil, &os.PathError{Op: "read", Path: filepath.Join(dir, "config.json"), Err: err}
	}
	if data, err = withRoot(data, dir); err != nil {
		return "", nil, err
	}
	if data, release, err = confine.Binds(data, filepath.Join(bindsDir, name)); err != nil {
		return "", nil, err
	}
	bundle = filepath.Join(bundlesDir, name)
	if err = os.MkdirAll(bundle, 0o700); err == nil {
		err = os.WriteFile(filepath.Join(bundle, "config.json"), data, 0o600)
	}
	if err != nil {
		release()
		return "", nil, err
	}
	return bundle, release, nil
}

// withRoot makes the root path of a config.json absolute.
func withRoot(config []byte, dir string) ([]byte, error) {
	var spec, root map[string]json.RawMessage
	if err := json.Unmarshal(config, &spec); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(spec["root"], &root); err != nil {
		return nil, err
	}
	var path string
	if err := json.Unmarshal(root["path"], &path); err != nil {
		return nil, err
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	var err error
	if root["path"], err = json.Marshal(path); err != nil {
		return nil, err
	}
	if spec["root"], err = json.Marshal(root); err != nil {
		return nil, err
	}
	return json.Marshal(spec)
}
