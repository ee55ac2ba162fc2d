package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"lkt/confine"
	"lkt/interfaces"
)

// runtime is the part of runtime.json that needs the container's process. PID 1 handles the other
// keys.
type runtime struct {
	Interfaces []interfaces.Interface `json:"interfaces"`
	BindNS     map[string]string      `json:"bindNS"`
	Namespace  string                 `json:"namespace"`
}

func loadRuntime(dir string) (*runtime, error) {
	var r runtime
	data, err := os.ReadFile(filepath.Join(dir, "runtime.json"))
	if errors.Is(err, os.ErrNotExist) {
		return &r, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("%s/runtime.json: %w", dir, err)
	}
	return &r, nil
}

func (r *runtime) namespace() string {
	if r.Namespace == "" {
		return defaultNamespace
	}
	return r.Namespace
}

// attach gives a created but not yet started process the network interfaces in runtime.json, and
// bind-mounts its namespaces to the paths there.
func (r *runtime) attach(pid int) error {
	if err := interfaces.Attach(r.Interfaces, pid); err != nil {
		return err
	}
	for kind, path := range r.BindNS {
		if path == "" {
			continue
		}
		if err := confine.BindNamespace(pid, kind, path); err != nil {
			return err
		}
	}
	return nil
}
