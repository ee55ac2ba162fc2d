package main

import (
	"path/filepath"
	"strings"
)

// defaultRoot is where runc keeps the states of containers.
const defaultRoot = "/run/runc"

// An invocation is a command line of runc.
type invocation struct {
	// root is the directory of the states of containers.
	root string
	// global are the flags before the command that runsc has too.
	global []string
	// command and its arguments, or nothing.
	words []string
	// bundle is the directory of config.json.
	bundle string
	// id is that of the container, if the command has one.
	id string
}

// globalValues are the flags before the command that have a value; the bool says whether runsc has
// them.
var globalValues = map[string]bool{"log": true, "log-format": true, "root": false, "criu": false, "rootless": false}

// values are the flags of commands that have a value, by their long and short names.
var values = map[string]bool{
	"additional-gids": true, "apparmor": true, "b": true, "bundle": true, "c": true, "cap": true, "cgroup": true,
	"console-socket": true, "cwd": true, "e": true, "env": true, "f": true, "format": true, "g": true, "interval": true,
	"p": true, "pid-file": true, "pidfd-socket": true, "preserve-fds": true, "process": true, "process-label": true,
	"r": true, "resources": true, "u": true, "user": true,
}

func parse(args []string) invocation {
	run := invocation{root: defaultRoot, bundle: "."}
	for len(args) > 0 {
		name, value, rest := flag(args, func(name string) bool { _, has := globalValues[name]; return has })
		if name == "" {
			break
		}
		isShared, hasValue := globalValues[name]
		switch {
		case name == "root":
			run.root = value
		case isShared || !hasValue:
			run.global = append(run.global, args[:len(args)-len(rest)]...)
		}
		args = rest
	}
	run.words = args
	if len(args) == 0 {
		return run
	}
	for args = args[1:]; len(args) > 0; {
		name, value, rest := flag(args, func(name string) bool { return values[name] })
		if name == "" {
			run.id = args[0]
			break
		}
		if name == "bundle" || name == "b" {
			run.bundle = value
		}
		args = rest
	}
	run.bundle = filepath.Clean(run.bundle)
	return run
}

// flag returns the flag at the beginning of args, its value, and the arguments after it. The name
// is empty if the first argument is not a flag.
func flag(args []string, hasValue func(name string) bool) (name, value string, rest []string) {
	if !strings.HasPrefix(args[0], "-") || strings.Trim(args[0], "-") == "" {
		return "", "", args
	}
	name, value, isWhole := strings.Cut(strings.TrimLeft(args[0], "-"), "=")
	if isWhole || !hasValue(name) || len(args) == 1 {
		return name, value, args[1:]
	}
	return name, args[1], args[2:]
}
