package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"lkt/modules"
)

// devices loads the modules of the machine's devices, as the modules.alias of a kernel image lists
// them. It also loads those of devices that appear until module loading is locked. lkt's own
// kernels have no such file: their modules are in the lists of loadModules.
type devices struct {
	aliases *modules.Aliases
	tree    *modules.Tree
	// events is a socket of the kernel's events of devices.
	events *os.File

	mutex sync.Mutex
	count int
}

// modprobeDir has the "blacklist" lines of the image.
const modprobeDir = "/etc/modprobe.d"

// startDevices loads the modules of existing devices. It returns nil if the image has no aliases.
func startDevices() *devices {
	d, err := openDevices("/usr", "")
	if err != nil {
		step("load modules for devices: %v", err)
	}
	if d == nil {
		return nil
	}
	// Before the existing devices are listed, so that none is missed: a module may add devices.
	if d.events, err = listenDevices(); err != nil {
		step("events of devices: %v", err)
	} else {
		go followDevices(d.events, d.load)
	}
	// Links to devices: "modalias" is missing for many.
	files, _ := filepath.Glob("/sys/bus/*/devices/*/modalias")
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil {
			d.load(string(text))
		}
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	step("modules loaded for devices: %d", d.count)
	return d
}

// openDevices finds the kernel's modules below one of the directories. It returns nil if there are
// no aliases.
func openDevices(parents ...string) (*devices, error) {
	dir, err := modules.Dir()
	if err != nil {
		return nil, err
	}
	for _, parent := range parents {
		aliases, err := modules.OpenAliases(parent+dir, modprobeDir)
		if err != nil {
			return nil, err
		}
		if aliases.IsEmpty() {
			continue
		}
		tree, err := modules.Open(parent+dir, "/sys/module")
		if err != nil {
			return nil, err
		}
		return &devices{aliases: aliases, tree: tree}, nil
	}
	return nil, nil
}

// load loads the modules of a device. Those that the image lacks are skipped.
func (d *devices) load(modalias string) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	for _, name := range d.aliases.Modules(modalias) {
		if d.tree.Has(name) {
			continue
		}
		switch err := d.tree.Load(name, "", modules.Insert); {
		case err == nil:
			d.count++
		case !errors.Is(err, modules.ErrNone):
			step("module %s: %v", name, err)
		}
	}
}

// stop ends the loading for devices that appear. d may be nil.
func (d *devices) stop() {
	if d != nil && d.events != nil {
		d.events.Close()
	}
}

// listenDevices opens a socket of the kernel's events of devices.
func listenDevices() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, err
	}
	// Group 1 has the kernel's own events.
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "events"), nil
}

// followDevices calls load for each device that appears, until events is closed.
func followDevices(events *os.File, load func(modalias string)) {
	raw, err := events.SyscallConn()
	if err != nil {
		return
	}
	buffer := make([]byte, 64<<10)
	for {
		var n int
		var from unix.Sockaddr
		var failed error
		err := raw.Read(func(fd uintptr) bool {
			n, from, failed = unix.Recvfrom(int(fd), buffer, 0)
			return failed != unix.EAGAIN
		})
		if err != nil {
			return // closed
		}
		// ENOBUFS: events were lost, for which nothing can be done.
		kernel, isNetlink := from.(*unix.SockaddrNetlink)
		if failed == nil && isNetlink && kernel.Pid == 0 {
			if modalias := addedDevice(buffer[:n]); modalias != "" {
				load(modalias)
			}
		}
	}
}

// addedDevice returns the modalias of an event about a new device, else "".
func addedDevice(event []byte) (modalias string) {
	isAdded := false
	for _, field := range bytes.Split(event, []byte{0}) {
		if value, found := bytes.CutPrefix(field, []byte("MODALIAS=")); found {
			modalias = string(value)
		}
		isAdded = isAdded || string(field) == "ACTION=add"
	}
	if !isAdded {
		return ""
	}
	return modalias
}
