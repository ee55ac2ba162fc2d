package main

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// modulesDir has the kernel's modules, and ordered lists of modules to load at boot: "load", and
// "load-root" for modules that mounting the root needs.
const modulesDir = "/usr/lib/modules"

func loadModules(name string) {
	list, err := os.Open(filepath.Join(modulesDir, name))
	if err != nil {
		return // a kernel without modules
	}
	defer list.Close()
	count := 0
	lines := bufio.NewScanner(list)
	for lines.Scan() {
		path := strings.TrimSpace(lines.Text())
		if path == "" || path[0] == '#' {
			continue
		}
		if err := loadModule(filepath.Join(modulesDir, path)); err != nil {
			step("module %s: %v", path, err)
			continue
		}
		count++
	}
	step("%d modules", count)
}

func loadModule(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	err = unix.FinitModule(int(file.Fd()), "", 0)
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}

// lockModules disables module loading until the next boot. "lkt.modules=open" on the command line
// prevents that, for images whose services load modules; then it returns false.
func lockModules(cmdline []string) bool {
	if slices.Contains(cmdline, "lkt.modules=open") {
		return false
	}
	err := os.WriteFile("/proc/sys/kernel/modules_disabled", []byte("1"), 0)
	if err != nil && !os.IsNotExist(err) {
		step("lock modules: %v", err)
	}
	return true
}

func setLimits() {
	files := unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		step("set limit of open files: %v", err)
	}
	// No core dumps.
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		step("set limit of core files: %v", err)
	}
	// The kernel counts these per user, of all containers together; the limits of a container's
	// memory, tasks and IPC namespace bound them.
	for _, resource := range []int{unix.RLIMIT_MEMLOCK, unix.RLIMIT_MSGQUEUE, unix.RLIMIT_NPROC, unix.RLIMIT_SIGPENDING} {
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}); err != nil {
			step("set limit %d: %v", resource, err)
		}
	}
	unix.Umask(0o022)
}

func bringUp(name string) {
	if err := setUp(name); err != nil {
		step("network interface %s: %v", name, err)
	}
}

func setUp(name string) error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(socket, unix.SIOCGIFFLAGS, request); err != nil {
		return err
	}
	request.SetUint16(request.Uint16() | unix.IFF_UP)
	return unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request)
}
