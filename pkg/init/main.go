// Command init is PID 1 of an lkt image: it checks that the image is whole, makes the root read-only, mounts the kernel's
// file systems, runs the onboot containers in order, starts the services, and takes everything down again in order.
package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"lkt/init/bundle"
	"lkt/init/manifest"
	"lkt/init/roots"
	"lkt/init/sysctl"
)

func main() {
	if os.Getpid() != 1 && filepath.Base(os.Args[0]) == "logd" {
		logDaemon()
		return
	}
	if os.Getpid() != 1 {
		os.Stderr.WriteString("init: only the kernel starts this program\n")
		os.Exit(1)
	}
	step("init")
	cmdline := mountProc()
	mounted, err := checkImage(cmdline)
	if err != nil {
		// PID 1 exits: the kernel panics and does what panic= on its command line says.
		step("this image is not whole, the boot stops here: %v", err)
		os.Exit(1)
	}
	if len(mounted) == 0 {
		loadModules("load")
	} else if err := mountRoots(mounted); err != nil {
		step("the root cannot be mounted, the boot stops here: %v", err)
		os.Exit(1)
	}
	if err := readOnlyRoot(len(mounted) > 0); err != nil {
		step("the root cannot be made read-only, the boot stops here: %v", err)
		os.Exit(1)
	}
	if len(mounted) > 0 {
		loadModules("load")
	}
	mountAll()
	hardenDevices()
	failed := setParameters()
	setLimits()
	bringUp("lo")
	setHostname()
	tellUnpacking()
	step("system ready")

	children := newReaper()
	log := startLogging(children)
	step("logs")
	stop := stopRequests()
	prepareVolumes()
	more, how := runAll(children, log, "onboot", stop)
	failed += more
	lockModules(cmdline)
	var running services
	if how == nil {
		running = startServices(children, log)
		how = waitForEnd(running, failed, stop)
	}
	step("%s", how.name)
	if _, other := runAll(children, log, "onshutdown", nil); other != nil {
		how = other
	}
	if running != nil {
		running.stop()
	}
	log.stop()
	stopEverything()
	unmountAll()
	step("bye")
	unix.Sync()
	if err := unix.Reboot(how.command); err != nil {
		step("%s: %v", how.name, err)
	}
	select {}
}

// waitForEnd reports the end of the boot, unless the machine is stopped before.
func waitForEnd(services services, failed int, stop <-chan end) *end {
	select {
	case more := <-services.ready():
		if failed += more; failed > 0 {
			step("boot ended with %d failures", failed)
		} else {
			step("boot complete")
		}
	case how := <-stop:
		return &how
	}
	how := <-stop
	return &how
}

// mountProc makes /proc available for the time before the root is switched and returns the kernel's command line.
func mountProc() []string {
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		step("mount /proc: %v", err)
	}
	data, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		step("kernel command line: %v", err)
	}
	return strings.Fields(string(data))
}

// checkImage fails unless all of the image is there. Its root may be of file systems that are to be mounted, which it lists.
func checkImage(cmdline []string) ([]roots.Root, error) {
	if err := checkManifest(cmdline); err != nil {
		return nil, err
	}
	return wholeRoots()
}

// checkManifest compares what the kernel unpacked with the manifest. "lkt.manifest=none" is for images composed by a
// tool that writes none.
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

// setParameters makes the kernel what the files of the image say, before anything of the image runs, and returns how much of that it
// could not.
func setParameters() (failures int) {
	failures, err := sysctl.Apply("/etc/sysctl.d", "/proc/sys", step)
	if err != nil {
		step("%v", err)
		failures++
	}
	return failures
}

// prepareVolumes gives every volume its writable layer, or makes it a read-only view when it has none.
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

// directories lists the names of the directories in dir in order. A directory that is not there is empty.
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
