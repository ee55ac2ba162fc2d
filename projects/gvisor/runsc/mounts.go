package main

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// slaves are the options for gVisor in place of those that would show its mounts to the machine,
// which it rejects.
var slaves = map[string]string{"shared": "slave", "rshared": "rslave"}

// isolateMounts replaces these options in the config of a bundle, where the default of binds is
// rshared.
func isolateMounts(bundle string) error {
	path := filepath.Join(bundle, "config.json")
	var config map[string]json.RawMessage
	if err := readJSON(path, &config); err != nil {
		return err
	}
	var mounts []map[string]json.RawMessage
	if config["mounts"] == nil {
		return nil
	}
	if err := json.Unmarshal(config["mounts"], &mounts); err != nil {
		return err
	}
	isChanged := false
	for _, mount := range mounts {
		var options []string
		if mount["options"] == nil {
			continue
		}
		if err := json.Unmarshal(mount["options"], &options); err != nil {
			return err
		}
		for i, option := range options {
			if slave, has := slaves[option]; has {
				options[i], isChanged = slave, true
			}
		}
		text, err := json.Marshal(options)
		if err != nil {
			return err
		}
		mount["options"] = text
	}
	if !isChanged {
		return nil
	}
	var err error
	if config["mounts"], err = json.Marshal(mounts); err != nil {
		return err
	}
	text, err := json.Marshal(config)
	if err != nil {
		return err
	}
	// The bundle is a copy that containerd or PID 1 made.
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
