// Command init is PID 1 of an lkt image. It verifies that the image is complete, makes the root
// read-only, and mounts the kernel's file systems. Then it runs the onboot containers in order,
// starts the services, and shuts everything down in order.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"lkt/init/bundle"
	"lkt/init/manifest"
	"lkt/init/roots"
	"lkt/init/sysctl"
	"lkt/init/watchdog"
)

func main() {
	if os.Getpid() != 1 {
		notPID1()
		return
	}
	if initramfs, isLocked := lockedRoot(os.Args); isLocked {
		boot(initramfs, 0)
	}
	step("init")
	proc, initramfs, err := switchRoot()
	if err != nil {
		stopBoot(err)
	}
	// It returns only if it fails.
	step("the root mount is not locked: %v", lockMounts(proc, initramfs))
	boot(initramfs, 1)
}

// boot goes on once the root is mounted. initramfs is nil if its files are the root. failed is the
// number of failures so far.
func boot(initramfs *os.File, failed int) {
	if err := completeRoot(initramfs); err != nil {
		stopBoot(fmt.Errorf("cannot mount the root: %w", err))
	}
	mountAll()
	cmdline := readCmdline()
	raiseClock(cmdline)
	loadModules("load")
	plugged := startDevices()
	hardenDevices()
	failed += setSysctls()
	setLimits()
	bringUp("lo")
	setHostname()
	reportUnpacking()
	step("system ready")
	greet()

	children := newReaper()
	log := startLogging(children)
	step("logs")
	stop := shutdownRequests()
	var running atomic.Pointer[services]
	health := func() error {
		if err := canStart(children); err != nil {
			return err
		}
		if started := running.Load(); started != nil {
			return (*started).health()
		}
		return nil
	}
	dog := watchdog.Start(cmdline, health, step)
	prepareVolumes()
	more, mode := runAll(stop.requested, stop.forced, children, log, "onboot")
	failed += more
	if dog == nil { // a container may have loaded its driver
		dog = watchdog.Start(cmdline, health, step)
	}
	if lockModules(cmdline) {
		plugged.stop()
	}
	if mode != nil {
		stop.begin(*mode)
	}
	if stop.requested.Err() == nil {
		started := startServices(children, log)
		running.Store(&started)
		reportBoot(started, failed, stop.requested)
		<-stop.requested.Done()
	}
	dog.ShutDown()
	step("%s", stop.current().name)
	if _, other := runAll(stop.forced, stop.forced, children, log, "onshutdown"); other != nil {
		stop.change(*other)
	}
	if started := running.Load(); started != nil {
		(*started).stop(stop.forced)
	}
	log.stop()
	stopEverything(stop.forced)
	unmountAll(stop.forced)
	step("bye")
	last := stop.current()
	dog.End(last == halt)
	if err := unix.Reboot(last.command); err != nil {
		step("%s: %v", last.name, err)
	}
	select {}
}

// notPID1 runs the log daemon, or the check of the health: this program under other names.
func notPID1() {
	switch filepath.Base(os.Args[0]) {
	case "logd", "init-logd", "init-sender":
		if err := logDaemon(); err != nil {
			fmt.Fprintf(os.Stderr, "logd: %v\n", err)
			os.Exit(1)
		}
	case healthName:
	default:
		os.Stderr.WriteString("init: must run as PID 1\n")
		os.Exit(1)
	}
}

// stopBoot ends PID 1. The kernel then panics and follows panic= on its command line.
func stopBoot(err error) {
	text, cause, _ := strings.Cut(err.Error(), ": ")
	step("%s, boot stopped: %s", text, cause)
	os.Exit(1)
}

// reportBoot reports the end of the boot, unless a shutdown is requested before.
func reportBoot(services services, failed int, requested context.Context) {
	if text := endOfBoot(services, failed, requested); text != "" {
		step("%s", text)
	}
}

// endOfBoot waits until the services have started, and returns the report. It is empty if a
// shutdown is requested, which also ends services that start.
func endOfBoot(services services, failed int, requested context.Context) string {
	select {
	case more := <-services.ready():
		failed += more
	case <-requested.Done():
	}
	switch {
	case requested.Err() != nil: // select chooses either if both are ready
		return ""
	case failed > 0:
		return fmt.Sprintf("boot ended with %d failures", failed)
	}
	return "boot complete"
}

// mountProc mounts /proc for use before the root is switched, and returns the kernel command line.
func mountProc() []string {
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		step("mount /proc: %v", err)
	}
	return readCmdline()
}

// readCmdline returns the kernel command line.
func readCmdline() []string {
	data, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		step("kernel command line: %v", err)
	}
	return strings.Fields(string(data))
}

// checkImage returns an error unless the image is complete. It returns the file systems to mount as
// the root, or none if the root is the initramfs.
func checkImage(cmdline []string) ([]roots.Root, error) {
	if err := checkManifest(cmdline); err != nil {
		return nil, err
	}
	return verifyRoots()
}

// checkManifest compares the unpacked files with the manifest. "lkt.manifest=none" skips it, for
// images composed by a tool that writes no manifest.
func checkManifest(cmdline []string) error {
	if slices.Contains(cmdline, "lkt.manifest=none") {
		return nil
	}
	file, err := os.Open(manifest.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	count, err := manifest.Read(file, func(e manifest.Entry) error {
		if e.Path == "proc" { // mounted over by now
			return nil
		}
		return manifest.Verify("", e)
	})
	if err != nil {
		return err
	}
	step("manifest of %d files", count)
	return nil
}

// setSysctls applies the image's sysctl files before anything of the image runs, and returns the
// number of failures.
func setSysctls() (failures int) {
	failures, err := sysctl.Apply("/etc/sysctl.d", "/proc/sys", step)
	if err != nil {
		step("%v", err)
		failures++
	}
	return failures
}

// prepareVolumes mounts the writable layer of each volume, or a read-only view if it has none.
func prepareVolumes() {
	const root = "/containers/volumes"
	for _, name := range directories(root) {
		dir := filepath.Join(root, name)
		r := bundle.Runtime{Mounts: []bundle.Mount{{
			Destination: dir + "/merged", Source: dir + "/lower", Options: []string{"bind", "ro"},
		}}}
		if _, err := os.Stat(dir + "/tmp"); err == nil {
			r.Mounts = []bundle.Mount{
				{Destination: dir + "/tmp", Type: "tmpfs", Source: "tmpfs"},
				{Destination: dir + "/merged", Type: "overlay", Source: "overlay", Options: []string{
					"lowerdir=" + dir + "/lower", "upperdir=" + dir + "/tmp/upper", "workdir=" + dir + "/tmp/work",
				}},
			}
		}
		if _, err := r.Prepare(dir); err != nil {
			step("volume %s: %v", name, err)
		}
	}
}

// directories returns the sorted names of the directories in dir, or none if dir does not exist.
func directories(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		step("%v", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}
