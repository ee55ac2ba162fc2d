package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lkt/init/bundle"
	"lkt/init/supervise"
)

const (
	containersDir = "/containers"
	runtimePath   = "/usr/bin/runc"
	logDir        = "/var/log"
)

// runAll runs the containers of a stage ("onboot", "onshutdown") one after the other. One that fails is reported and does not
// keep the next from running, unless its bundle says what is to happen instead: that is how, as is what comes on stop.
func runAll(children *reaper, stage string, stop <-chan end) (failed int, how *end) {
	for _, name := range directories(filepath.Join(containersDir, stage)) {
		path := filepath.Join(logDir, stage+"."+name+".log")
		onFailure, err := runOnce(children, stage, name, path, stop)
		var stopped *stopError
		switch {
		case errors.As(err, &stopped):
			step("%s %s stopped", stage, name)
			return failed, &stopped.how
		case err != nil:
			step("%s %s failed: %v", stage, name, err)
			showTail(path)
			failed++
			if how := endOnFailure(onFailure); how != nil {
				step("%s %s says: %s", stage, name, how.name)
				return failed, how
			}
		default:
			step("%s %s", stage, name)
		}
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

func runOnce(children *reaper, stage, name, logPath string, stop <-chan end) (onFailure string, err error) {
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
	log, err := openLog(logPath)
	if err != nil {
		return runtime.OnFailure, err
	}
	defer log.Close()
	return runtime.OnFailure, runContainer(children, log, dir, name, runtime, stop)
}

func runContainer(children *reaper, log *os.File, dir, name string, runtime *bundle.Runtime, stop <-chan end) error {
	remove := func() { _ = children.run(log, runtimePath, "delete", "--force", name) }
	if !runtime.NeedsProcess() {
		// One program of the runtime instead of three. It hands signals on to the container, and deletes it when it ends.
		pid, done, err := children.start([]string{runtimePath, "run", "--bundle", dir, name}, log)
		if err != nil {
			return err
		}
		return await(pid, done, stop, remove)
	}
	defer remove()
	pid, err := create(children, log, dir, name)
	if err != nil {
		return err
	}
	done := children.adopt(pid)
	if err := runtime.AttachProcess(pid); err != nil {
		return err
	}
	if err := children.run(log, runtimePath, "start", name); err != nil {
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
func create(children *reaper, log *os.File, dir, name string) (pid int, err error) {
	pidFile := filepath.Join("/run/lkt", name+".pid")
	if err := children.run(log, runtimePath, "create", "--bundle", dir, "--pid-file", pidFile, name); err != nil {
		return 0, err
	}
	data, err := os.ReadFile(pidFile)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(data))
}

func (r *reaper) run(log *os.File, args ...string) error {
	_, done, err := r.start(args, log)
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

func openLog(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
}

// showTail puts the end of a log on the console: without a login it is the only place to see it.
func showTail(path string) {
	const most = 4096
	file, err := os.Open(path)
	if err != nil {
		return
	}
	defer file.Close()
	if end, err := file.Seek(0, 2); err == nil {
		_, _ = file.Seek(max(0, end-most), 0)
	}
	text := make([]byte, most)
	n, _ := file.Read(text)
	for line := range strings.Lines(string(bytes.TrimSpace(text[:n]))) {
		fmt.Fprintf(os.Stderr, "lkt:   %s\n", strings.Map(printable, strings.TrimRight(line, "\r\n")))
	}
}

// A log must not be able to drive the terminal.
func printable(r rune) rune {
	if r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 {
		return '?'
	}
	return r
}
