package main

import (
	"errors"
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

// runAll runs the containers of a stage ("onboot", "onshutdown") one after the other. One that fails is reported and does not
// keep the next from running, unless its bundle says what is to happen instead: that is how, as is what comes on stop.
func runAll(children *reaper, log *logging, stage string, stop <-chan end) (failed int, how *end) {
	for _, name := range directories(filepath.Join(containersDir, stage)) {
		onFailure, err := runOnce(children, log, stage, name, stop)
		var stopped *stopError
		switch {
		case errors.As(err, &stopped):
			step("%s %s stopped", stage, name)
			return failed, &stopped.how
		case err != nil:
			step("%s %s failed: %v", stage, name, err)
			log.showTail(stage + "." + name)
			failed++
			if how := endOnFailure(onFailure); how != nil {
				step("%s %s says: %s", stage, name, how.name)
				return failed, how
			}
		default:
			step("%s %s", stage, name)
		}
		adoptHostname()
	}
	return failed, nil
}

// endOnFailure is what "onfailure" of a bundle asks for. What is not known is as if nothing were said.
func endOnFailure(onFailure string) *end {
	switch onFailure {
	case "poweroff":
		return &powerOff
	case "reboot":
		return &reboot
	}
	return nil
}

// stopError: the machine is to end, so the container was ended.
type stopError struct{ how end }

func (e *stopError) Error() string { return "stopped" }

func runOnce(children *reaper, log *logging, stage, name string, stop <-chan end) (onFailure string, err error) {
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
	return runtime.OnFailure, runContainer(children, out, dir, name, runtime, stop)
}

func runContainer(children *reaper, out *os.File, dir, name string, runtime *bundle.Runtime, stop <-chan end) error {
	remove := func() { _ = children.run(out, runtimePath, "delete", "--force", name) }
	bundle, release, err := confined(dir, name)
	if err != nil {
		return err
	}
	defer release()
	if !runtime.NeedsProcess() {
		// One program of the runtime instead of three. It hands signals on to the container, and deletes it when it ends.
		pid, done, err := children.start([]string{runtimePath, "run", "--bundle", bundle, name}, out)
		if err != nil {
			return err
		}
		return await(pid, done, stop, remove)
	}
	defer remove()
	pid, err := create(children, out, bundle, name)
	if err != nil {
		return err
	}
	done := children.adopt(pid)
	if err := runtime.AttachProcess(pid); err != nil {
		return err
	}
	if err := children.run(out, runtimePath, "start", name); err != nil {
		return err
	}
	return await(pid, done, stop, remove)
}

// await returns how a container ended. When the machine is to end first, it is asked to, and then killed.
func await(pid int, done <-chan unix.WaitStatus, stop <-chan end, kill func()) error {
	select {
	case status := <-done:
		return statusError(status)
	case how := <-stop:
		_ = unix.Kill(pid, unix.SIGTERM)
		select {
		case <-done:
		case <-time.After(patience(pid, 5*time.Second)):
			kill()
		}
		return &stopError{how}
	}
}

// patience is how long to wait for the end of a process that was asked to end.
func patience(pid int, most time.Duration) time.Duration {
	if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err == nil && supervise.IgnoresTerm(string(status)) {
		return 0
	}
	return most
}

// create leaves the container created and not started. Its process is a child of PID 1 once runc has exited.
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

func (r *reaper) run(out *os.File, args ...string) error {
	_, done, err := r.start(args, out)
	if err != nil {
		return err
	}
	return statusError(<-done)
}

// exitCode is what a shell calls the status.
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
