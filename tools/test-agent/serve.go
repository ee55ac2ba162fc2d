package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	"golang.org/x/sys/unix"
)

const (
	runtimePath = "/usr/bin/runc"
	// maxRequest is the length of the longest line.
	maxRequest = 16 << 10
	// maxOutput is how much of each output is returned.
	maxOutput = 16 << 10
	// maxSeconds is how long a command may run.
	maxSeconds = 3600
	// killDelay is how long a command may run after SIGTERM.
	killDelay = 5 * time.Second
)

// request is a command to run in a service.
type request struct {
	ID      int      `json:"id"`
	Service string   `json:"service"`
	Command []string `json:"command"`
	Seconds int      `json:"seconds"`
}

// response is the result of a command. Error says why it did not run.
type response struct {
	ID     int    `json:"id"`
	Status int    `json:"status"`
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
	Error  string `json:"error,omitempty"`
}

// containerName is lkt's rule for the names of containers.
var containerName = regexp.MustCompile(`^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$`)

// serve answers requests, one after the other, until the input ends. A line that is no request gets
// no answer.
func serve(in io.Reader, out io.Writer, run func(request) response) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 4096), maxRequest)
	for lines.Scan() {
		var r request
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			continue
		}
		answer := response{ID: r.ID, Error: r.problem()}
		if answer.Error == "" {
			answer = run(r)
		}
		line, err := json.Marshal(answer)
		if err != nil {
			return err
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return lines.Err()
}

// problem returns what is wrong with a request, or "".
func (r request) problem() string {
	switch {
	case !containerName.MatchString(r.Service):
		return fmt.Sprintf("%q is not the name of a service", r.Service)
	case len(r.Command) == 0 || r.Command[0] == "":
		return "the command is empty"
	case r.Seconds < 1 || r.Seconds > maxSeconds:
		return fmt.Sprintf("%d is not a number of seconds", r.Seconds)
	}
	return ""
}

// execute runs a command in a service with the OCI runtime, which applies the service's
// restrictions.
func execute(r request) response {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(r.Seconds)*time.Second)
	defer cancel()
	args := append(stateOptions("/run/containerd/runc", r.Service), "exec", r.Service)
	command := exec.CommandContext(ctx, runtimePath, append(args, r.Command...)...)
	command.Env = []string{"PATH=/usr/bin:/bin"}
	command.Cancel = func() error { return command.Process.Signal(unix.SIGTERM) }
	command.WaitDelay = killDelay
	var stdout, stderr prefix
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	answer := response{ID: r.ID, Stdout: string(stdout), Stderr: string(stderr)}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		answer.Error = fmt.Sprintf("%s did not end within %d s", r.Command[0], r.Seconds)
	case errors.As(err, &exit):
		answer.Status = exit.ExitCode()
	case err != nil:
		answer.Error = err.Error()
	}
	return answer
}

// stateOptions returns the option with the directory where containerd's runtime keeps the state of
// a service; none if there is no containerd.
func stateOptions(root, service string) []string {
	found, err := filepath.Glob(filepath.Join(root, "*", service))
	if err != nil || len(found) == 0 {
		return nil
	}
	return []string{"--root", filepath.Dir(found[0])}
}

// prefix keeps the beginning of what is written.
type prefix []byte

func (p *prefix) Write(data []byte) (int, error) {
	*p = append(*p, data[:min(len(data), maxOutput-len(*p))]...)
	return len(data), nil
}
