package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	runcPath = "/usr/bin/runc"
	// taskDir is the name of the directories in which containerd keeps its tasks.
	taskDir = "io.containerd.runtime.v2.task"
	// shimName is the process between containerd and a container.
	shimName = "containerd-shim-runc-v2"
)

// removeLeftovers removes what is left of a service's container of which containerd has no task.
// After a kill, containerd may neither attach to such a container nor remove it. It refuses to
// create another one beside it.
//
// To remove a directory, containerd first renames it to a hidden one. If it is killed before it has
// removed that, the next rename fails, then the next mkdir, and so on until the machine restarts.
func removeLeftovers(namespace, name string) error {
	for _, root := range []string{stateDir, rootDir} {
		if err := os.RemoveAll(filepath.Join(root, taskDir, namespace, "."+name)); err != nil {
			return fmt.Errorf("remove the remains of an earlier run: %w", err)
		}
	}
	bundle := filepath.Join(stateDir, taskDir, namespace, name)
	if _, err := os.Lstat(bundle); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	killShims("/proc", namespace, name)
	// It fails if the container is gone.
	command := exec.Command(runcPath, "--root", filepath.Join(stateDir, "runc", namespace), "delete", "--force", name)
	if err := command.Start(); err == nil {
		late := time.AfterFunc(time.Minute, func() { _ = command.Process.Kill() })
		_ = command.Wait()
		late.Stop()
	}
	_ = unix.Unmount(filepath.Join(bundle, "rootfs"), unix.MNT_DETACH)
	err := errors.Join(os.RemoveAll(bundle), os.RemoveAll(filepath.Join(rootDir, taskDir, namespace, name)))
	if err != nil {
		return fmt.Errorf("remove the remains of an earlier run: %w", err)
	}
	return nil
}

// killShims ends the shims of a container, which would keep its socket.
func killShims(proc, namespace, name string) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		text, err := os.ReadFile(filepath.Join(proc, e.Name(), "cmdline"))
		if err == nil && isShimOf(text, namespace, name) {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// isShimOf reports whether a /proc/PID/cmdline is that of a container's shim.
func isShimOf(cmdline []byte, namespace, name string) bool {
	words := bytes.Split(bytes.TrimSuffix(cmdline, []byte{0}), []byte{0})
	if filepath.Base(string(words[0])) != shimName {
		return false
	}
	has := func(flag, value string) bool {
		at := slices.IndexFunc(words, func(w []byte) bool { return string(w) == flag })
		return at >= 0 && at+1 < len(words) && string(words[at+1]) == value
	}
	return has("-namespace", namespace) && has("-id", name)
}
