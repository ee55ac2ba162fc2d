package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

const (
	runcPath  = "/usr/lib/runtimes/runc"
	runscPath = "/usr/lib/runtimes/runsc"
	// classAnnotation is where lkt build writes the runtimeClass of a container.
	classAnnotation = "lkt.runtimeClass"
	gvisor          = "gvisor"
)

// statesDir has the states of gVisor's containers, below it by the root that runc would use. It is
// a variable for tests.
var statesDir = "/run/lkt/gvisor"

// spec is the part of an OCI runtime spec that selects the runtime and its network.
type spec struct {
	Annotations map[string]string
	Linux       struct {
		Namespaces []struct{ Type, Path string }
	}
}

// runtimeOf returns the path and the arguments of the runtime for a command line of runc. A command
// that creates a container names the bundle, whose config has the class. For other commands, the
// state of the container tells the runtime that has created it.
func runtimeOf(args []string) (path string, argv []string, err error) {
	run := parse(args)
	states := filepath.Join(statesDir, run.root)
	isNew := len(run.words) > 0 && (run.words[0] == "create" || run.words[0] == "run")
	var config spec
	if isNew {
		if err := readJSON(filepath.Join(run.bundle, "config.json"), &config); err != nil {
			return "", nil, err
		}
	} else {
		state := struct{ Spec *spec }{&config}
		err := readJSON(filepath.Join(states, fmt.Sprintf("%s_sandbox:%s.state", run.id, run.id)), &state)
		if run.id == "" || errors.Is(err, os.ErrNotExist) {
			return runcPath, append([]string{"runc"}, args...), nil
		}
		if err != nil {
			return "", nil, err
		}
	}
	switch class := config.Annotations[classAnnotation]; {
	case class == gvisor:
		if isNew {
			if err := isolateMounts(run.bundle); err != nil {
				return "", nil, err
			}
		}
		own, err := flags(config)
		if err != nil {
			return "", nil, err
		}
		return runscPath, slices.Concat([]string{"runsc", "--root", states}, run.global, own, run.words), nil
	case class != "" || !isNew:
		return "", nil, fmt.Errorf("the image has no runtime of class %q", class)
	}
	return runcPath, append([]string{"runc"}, args...), nil
}

// flags returns those of runsc for every command of a container.
func flags(config spec) ([]string, error) {
	// Without a network namespace, the container has the machine's network, as with runc.
	network := "host"
	for _, namespace := range config.Linux.Namespaces {
		if namespace.Type != "network" {
			continue
		}
		if namespace.Path != "" {
			return nil, fmt.Errorf("gVisor cannot enter the network namespace %s: use net new or host", namespace.Path)
		}
		// A new namespace has only the loopback interface. Debian's version mistakes every
		// namespace of Linux 6.12 for the machine's, so that it cannot copy other interfaces.
		network = "none"
	}
	// The bundle has its own overlay.
	return []string{"--platform=systrap", "--network=" + network, "--overlay2=none"}, nil
}

func readJSON(path string, value any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, value); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
