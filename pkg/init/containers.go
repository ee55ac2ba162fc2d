package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lkt/init/bundle"
)

const (
	containersDir = "/containers"
	runtimePath   = "/usr/bin/runc"
	logDir        = "/var/log"
)

// runAll runs the containers of a stage ("onboot", "onshutdown") one after the other. One that fails is reported and
// does not keep the next from running.
func runAll(children *reaper, stage string) (failed int) {
	for _, name := range directories(filepath.Join(containersDir, stage)) {
		path := filepath.Join(logDir, stage+"."+name+".log")
		if err := runOnce(children, stage, name, path); err != nil {
			step("%s %s failed: %v", stage, name, err)
			showTail(path)
			failed++
			continue
		}
		step("%s %s", stage, name)
	}
	return failed
}

func runOnce(children *reaper, stage, name, logPath string) error {
	dir := filepath.Join(containersDir, stage, name)
	runtime, err := bundle.Load(dir)
	if err != nil {
		return err
	}
	undo, err := runtime.Prepare(dir)
	if err != nil {
		return err
	}
	defer undo()
	log, err := openLog(logPath)
	if err != nil {
		return err
	}
	defer log.Close()
	if !runtime.NeedsProcess() {
		return run(children, log, runtimePath, "run", "--bundle", dir, name)
	}
	pid, err := create(children, log, dir, name)
	if err != nil {
		return err
	}
	done := children.adopt(pid)
	defer func() { _ = run(children, log, runtimePath, "delete", "--force", name) }()
	if err := runtime.AttachProcess(pid); err != nil {
		return err
	}
	if err := run(children, log, runtimePath, "start", name); err != nil {
		return err
	}
	return statusError(<-done)
}

// create leaves the container created and not started. Its process is a child of PID 1 once runc has exited.
func create(children *reaper, log *os.File, dir, name string) (pid int, err error) {
	pidFile := filepath.Join("/run/lkt", name+".pid")
	if err := run(children, log, runtimePath, "create", "--bundle", dir, "--pid-file", pidFile, name); err != nil {
		return 0, err
	}
	data, err := os.ReadFile(pidFile)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(data))
}

func run(children *reaper, log *os.File, args ...string) error {
	_, done, err := children.start(args, log)
	if err != nil {
		return err
	}
	return statusError(<-done)
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
