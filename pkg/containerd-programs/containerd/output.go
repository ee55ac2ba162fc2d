package main

import (
	"os"
	"path/filepath"

	"github.com/containerd/containerd/cio"
)

// pipesDir is where PID 1 has a named pipe for each service, whose other end the log daemon reads.
const pipesDir = "/run/lkt/logs"

// output is where the shim of a service writes what the service does: to its pipe, or to a file where there is none.
func output(name string) cio.Creator {
	path := filepath.Join(pipesDir, name)
	if info, err := os.Stat(path); err != nil || info.Mode().Type() != os.ModeNamedPipe {
		return cio.LogFile(filepath.Join(logDir, name+".log"))
	}
	return func(string) (cio.IO, error) {
		return piped{cio.Config{Stdout: path, Stderr: path}}, nil
	}
}

// piped is output that this process has nothing to do with.
type piped struct{ config cio.Config }

func (p piped) Config() cio.Config { return p.config }
func (piped) Cancel()              {}
func (piped) Wait()                {}
func (piped) Close() error         { return nil }
