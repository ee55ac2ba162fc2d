package main

import (
	"os"
	"path/filepath"

	"github.com/containerd/containerd/cio"
)

// pipesDir has a named pipe for each service, made by PID 1. The log daemon reads the other end.
const pipesDir = "/run/lkt/logs"

// output returns the destination of a service's output: its named pipe, or a log file if it has no
// pipe.
func output(name string) cio.Creator {
	path := filepath.Join(pipesDir, name)
	if info, err := os.Stat(path); err != nil || info.Mode().Type() != os.ModeNamedPipe {
		return cio.LogFile(filepath.Join(logDir, name+".log"))
	}
	return func(string) (cio.IO, error) {
		return pipeIO{cio.Config{Stdout: path, Stderr: path}}, nil
	}
}

// pipeIO is a cio.IO whose pipe the shim opens by itself, so that this process need not copy or
// close it.
type pipeIO struct{ config cio.Config }

func (p pipeIO) Config() cio.Config { return p.config }
func (pipeIO) Cancel()              {}
func (pipeIO) Wait()                {}
func (pipeIO) Close() error         { return nil }
