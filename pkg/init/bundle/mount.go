package bundle

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// options are the flags and the data of a list of mount options.
type options struct {
	set         uintptr
	clear       uintptr
	propagation uintptr
	data        []string
	dirs        []string // directories that an overlay needs
}

var setFlags = map[string]uintptr{
	"bind": unix.MS_BIND, "rbind": unix.MS_BIND | unix.MS_REC, "remount": unix.MS_REMOUNT,
	"ro": unix.MS_RDONLY, "nosuid": unix.MS_NOSUID, "nodev": unix.MS_NODEV, "noexec": unix.MS_NOEXEC,
	"sync": unix.MS_SYNCHRONOUS, "dirsync": unix.MS_DIRSYNC, "mand": unix.MS_MANDLOCK,
	"noatime": unix.MS_NOATIME, "nodiratime": unix.MS_NODIRATIME, "relatime": unix.MS_RELATIME,
	"strictatime": unix.MS_STRICTATIME,
}

var clearFlags = map[string]uintptr{
	"rw": unix.MS_RDONLY, "suid": unix.MS_NOSUID, "dev": unix.MS_NODEV, "exec": unix.MS_NOEXEC,
	"async": unix.MS_SYNCHRONOUS, "nomand": unix.MS_MANDLOCK, "atime": unix.MS_NOATIME,
	"diratime": unix.MS_NODIRATIME, "norelatime": unix.MS_RELATIME, "nostrictatime": unix.MS_STRICTATIME,
}

var propagationFlags = map[string]uintptr{
	"private": unix.MS_PRIVATE, "shared": unix.MS_SHARED, "slave": unix.MS_SLAVE, "unbindable": unix.MS_UNBINDABLE,
	"rprivate": unix.MS_PRIVATE | unix.MS_REC, "rshared": unix.MS_SHARED | unix.MS_REC,
	"rslave": unix.MS_SLAVE | unix.MS_REC, "runbindable": unix.MS_UNBINDABLE | unix.MS_REC,
}

func parseOptions(list []string) options {
	var o options
	for _, name := range list {
		switch {
		case name == "defaults":
		case setFlags[name] != 0:
			o.set |= setFlags[name]
			o.clear &^= setFlags[name]
		case clearFlags[name] != 0:
			o.set &^= clearFlags[name]
			o.clear |= clearFlags[name]
		case propagationFlags[name] != 0:
			o.propagation = propagationFlags[name]
		default:
			o.data = append(o.data, name)
			for _, key := range []string{"upperdir=", "workdir="} {
				if dir, found := strings.CutPrefix(name, key); found {
					o.dirs = append(o.dirs, dir)
				}
			}
		}
	}
	return o
}

// mount mounts m on target. New file systems are nosuid and nodev unless the options contain "suid"
// or "dev": containers get their devices from the runtime, and no file of an image needs to be
// setuid.
func (m Mount) mount(target string) (isNew bool, err error) {
	o := parseOptions(m.Options)
	for _, dir := range append(o.dirs, target) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return false, err
		}
	}
	data := strings.Join(o.data, ",")
	kind := o.set & (unix.MS_BIND | unix.MS_REC | unix.MS_REMOUNT)
	flags := o.set &^ (unix.MS_BIND | unix.MS_REC | unix.MS_REMOUNT)
	switch {
	case kind&unix.MS_REMOUNT != 0:
		// Change only the named options: a remount without flags would clear nosuid and nodev.
		if o.set&^unix.MS_REMOUNT != 0 || o.clear != 0 || data != "" {
			err = unix.Mount(m.Source, target, m.Type, kind|hardenFlags(flags, o.clear), data)
		}
	case kind&unix.MS_BIND != 0:
		isNew = true
		if err = unix.Mount(m.Source, target, "", kind, ""); err == nil && flags != 0 {
			err = unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|hardenFlags(flags, o.clear), "")
		}
	default:
		isNew = true
		err = unix.Mount(m.Source, target, m.Type, hardenFlags(flags, o.clear), data)
	}
	if err == nil && o.propagation != 0 {
		err = unix.Mount("", target, "", o.propagation, "")
	}
	return isNew, err
}

func hardenFlags(flags, clear uintptr) uintptr {
	return flags | (unix.MS_NOSUID|unix.MS_NODEV)&^clear
}
