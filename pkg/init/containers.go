package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"lkt/init/bundle"
	"lkt/init/supervise"
)

const (
	containersDir = "/containers"
	runtimePath   = "/usr/bin/runc"
)

// defaultTimeout is how long a container of a stage may run without a timeout in runtime.json.
var defaultTimeout = map[string]time.Duration{"onboot": 10 * time.Minute, "onshutdown": time.Minute}

// runAll runs the containers of a stage ("onboot", "onshutdown") one after the other, each with its
// deadline. It reports a failure and goes on with the next container, unless the bundle requests a
// shutdown, whose mode it returns. When stop ends, it stops the running container and returns.
func runAll(stop, forced context.Context, children *reaper, log *logging, stage string) (failed int, mode *shutdownMode) {
	for _, name := range directories(filepath.Join(containersDir, stage)) {
		if stop.Err() != nil {
			return failed, nil
		}
		onFailure, err := runOnce(stop, forced, children, log, stage, name)
		switch {
		case err != nil && stop.Err() != nil:
			step("%s %s stopped", stage, name)
			return failed, nil
		case err != nil:
			step("%s %s failed: %v", stage, name, err)
			log.showTail(stage + "." + name)
			failed++
			if mode := failureMode(onFailure); mode != nil {
				step("%s %s requests %s", stage, name, mode.name)
				return failed, mode
			}
		default:
			step("%s %s", stage, name)
		}
		applyHostname()
	}
	return failed, nil
}

// failureMode returns the shutdown that "onfailure" of a bundle requests, or nil. It ignores
// unknown values.
func failureMode(onFailure string) *shutdownMode {
	switch onFailure {
	case "poweroff":
		return &powerOff
	case "reboot":
		return &reboot
	}
	return nil
}

func runOnce(
	stop, forced context.Context, children *reaper, log *logging, stage, name string,
) (onFailure string, err error) {
	dir := filepath.Join(containersDir, stage, name)
	runtime, err := bundle.Load(dir)
	if err != nil {
		return "", err
	}
	undo, err := runtime.Prepare(dir)
	if err != nil {
		return runtime.OnFailure, err
	}
	defer undo()
	out, err := log.open(stage + "." + name)
	if err != nil {
		return runtime.OnFailure, err
	}
	defer log.close(stage + "." + name)
	defer out.Close()
	limit := runtime.TimeLimit(defaultTimeout[stage])
	ctx, cancel := context.WithTimeoutCause(stop, limit, fmt.Errorf("did not end within %v", limit))
	defer cancel()
	return runtime.OnFailure, runContainer(ctx, forced, children, out, dir, name, runtime)
}

func runContainer(
	ctx, forced context.Context, children *reaper, out *os.File, dir, name string, runtime *bundle.Runtime,
) error {
	remove := func() { _ = children.run(out, runtimePath, "delete", "--force", name) }
	bundle, release, err := confinedBundle(dir, name)
	if err != nil {
		return err
	}
	defer release()
	if !runtime.NeedsProcess() {
		// One process of the runtime instead of three. It forwards signals to the container, and
		// deletes it when it exits.
		pid, done, err := children.start([]string{runtimePath, "run", "--bundle", bundle, name}, out)
		if err != nil {
			return err
		}
		return await(ctx, forced, pid, done, func() {
			remove()
			_ = unix.Kill(pid, unix.SIGKILL)
		})
	}
	defer remove()
	pid, err := create(children, out, bundle, name)
	if err != nil {
		return err
	}
	done := children.watch(pid)
	if err := runtime.AttachProcess(pid); err != nil {
		return err
	}
	if err := children.run(out, runtimePath, "start", name); err != nil {
		return err
	}
	return await(ctx, forced, pid, done, remove)
}

// await returns the exit status of a container as an error. If ctx ends first, it sends SIGTERM,
// and kills the container after a timeout or when forced ends.
func await(ctx, forced context.Context, pid int, done <-chan unix.WaitStatus, kill func()) error {
	select {
	case status := <-done:
		return statusError(status)
	case <-ctx.Done():
	}
	select {
	case status := <-done: // ended before: another process may have its number
		return statusError(status)
	default:
	}
	_ = unix.Kill(pid, unix.SIGTERM)
	select {
	case <-done:
	case <-forced.Done():
		kill()
	case <-time.After(stopTimeout(pid, 5*time.Second)):
		kill()
	}
	return context.Cause(ctx)
}

// stopTimeout returns how long to wait for a process after SIGTERM: not at all if it ignores the
// signal.
func stopTimeout(pid int, limit time.Duration) time.Duration {
	if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err == nil && supervise.IgnoresTerm(string(status)) {
		return 0
	}
	return limit
}

// create creates the container without starting it. Its process becomes a child of PID 1 when runc
// exits.
func create(children *reaper, out *os.File, bundle, name string) (pid int, err error) {
	pidFile := filepath.Join("/run/lkt", name+".pid")
	if err := children.run(out, runtimePath, "create", "--bundle", bundle, "--pid-file", pidFile, name); err != nil {
		return 0, err
	}
	data, err := os.ReadFile(pidFile)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(data))
}

// exitCode returns the status as a shell does: 128 plus the signal for a killed process.
func exitCode(status unix.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

func statusError(status unix.WaitStatus) error {
	switch {
	case status.Signaled():
		return fmt.Errorf("killed by %s", unix.SignalName(status.Signal()))
	case status.ExitStatus() != 0:
		return fmt.Errorf("exit status %d", status.ExitStatus())
	}
	return nil
}
