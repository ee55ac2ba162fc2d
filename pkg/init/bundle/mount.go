package bundle

import (
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"lkt/init/confine"
)

// options are the flags and the data of a list of mount options.
type options struct {
	set         uintptr
	clear       uintptr
	propagation uintptr
	data        []string
	dirs        []string // directories that an overlay needs
	lower       []string // directories that an overlay shows
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
			if dirs, found := strings.CutPrefix(name, "lowerdir="); found {
				o.lower = append(o.lower, strings.Split(dirs, ":")...)
			}
		}
	}
	return o
}

// remount returns the flags of the second call for a bind mount with options of its own, or 0.
func (o options) remount() uintptr {
	flags := o.set &^ (unix.MS_BIND | unix.MS_REC)
	if o.set&unix.MS_BIND == 0 || flags&unix.MS_REMOUNT != 0 || flags == 0 {
		return 0
	}
	return unix.MS_BIND | unix.MS_REMOUNT | hardenFlags(flags, o.clear)
}

// mountIn mounts m for the bundle in dir. No path of m leads through a link that a container could
// have made.
func (m Mount) mountIn(dir string) (isNew bool, err error) {
	o := parseOptions(m.Options)
	for _, path := range o.dirs {
		made, err := confine.MakeDirectory(path)
		if err != nil {
			return false, err
		}
		made.Close()
	}
	point, err := openTarget(dir, m.Destination)
	if err != nil {
		return false, err
	}
	defer point.Close()
	source := m.Source
	for _, path := range append(o.lower, source) {
		if !filepath.IsAbs(path) {
			continue
		}
		file, err := confine.Open(path)
		if err != nil {
			return false, err
		}
		defer file.Close()
		// Only a bind mount keeps the name of its file system's device.
		if path == source && o.set&unix.MS_BIND != 0 {
			source = file.Path()
		}
	}
	m.Source = source
	isNew, err = m.mount(o, point.Path())
	if err != nil || o.remount() == 0 && o.propagation == 0 {
		return isNew, err
	}
	// The open directory is the one below the new mount.
	mounted, err := openTarget(dir, m.Destination)
	if err != nil {
		return isNew, err
	}
	defer mounted.Close()
	if flags := o.remount(); flags != 0 {
		err = unix.Mount("", mounted.Path(), "", flags, "")
	}
	if err == nil && o.propagation != 0 {
		err = unix.Mount("", mounted.Path(), "", o.propagation, "")
	}
	return isNew, err
}

// unmount unmounts a directory that openTarget accepts.
func unmount(dir, path string) {
	if target, err := openTarget(dir, path); err == nil {
		_ = unix.Unmount(target.Path(), unix.MNT_DETACH)
		target.Close()
	}
}

// mount mounts m on target. New file systems are nosuid and nodev unless the options contain "suid"
// or "dev". Containers get their devices from the runtime, and no file of an image needs to be
// setuid.
func (m Mount) mount(o options, target string) (isNew bool, err error) {
	data := m.data(o)
	kind := o.set & (unix.MS_BIND | unix.MS_REC | unix.MS_REMOUNT)
	flags := o.set &^ (unix.MS_BIND | unix.MS_REC | unix.MS_REMOUNT)
	switch {
	case kind&unix.MS_REMOUNT != 0:
		// Change only the named options: a remount without flags would clear nosuid and nodev.
		if o.set&^unix.MS_REMOUNT != 0 || o.clear != 0 || data != "" {
			err = unix.Mount(m.Source, target, m.Type, kind|hardenFlags(flags, o.clear), data)
		}
	case kind&unix.MS_BIND != 0:
		err = unix.Mount(m.Source, target, "", kind, "")
		isNew = err == nil
	default:
		err = unix.Mount(m.Source, target, m.Type, hardenFlags(flags, o.clear), data)
		isNew = err == nil
	}
	return isNew, err
}

// data returns the options of the file system.
func (m Mount) data(o options) string {
	return strings.Join(confine.WithoutPanic(m.Type, o.data), ",")
}

func hardenFlags(flags, clear uintptr) uintptr {
	return flags | (unix.MS_NOSUID|unix.MS_NODEV)&^clear
}
