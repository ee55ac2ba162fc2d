package main

import (
	"os"

	"golang.org/x/sys/unix"

	"lkt/init/bundle"
)

const hardened = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

type mount struct {
	source, target, fstype string
	flags                  uintptr
	data                   string
	// optional file systems depend on the kernel configuration
	optional bool
}

var mounts = []mount{
	{"devtmpfs", "/dev", "devtmpfs", unix.MS_NOSUID | unix.MS_NOEXEC, "mode=755", false},
	{"proc", "/proc", "proc", hardened, "hidepid=invisible", false},
	{"sysfs", "/sys", "sysfs", hardened, "", false},
	{"cgroup2", "/sys/fs/cgroup", "cgroup2", hardened, "nsdelegate,memory_recursiveprot", false},
	{"securityfs", "/sys/kernel/security", "securityfs", hardened, "", true},
	{"bpf", "/sys/fs/bpf", "bpf", hardened, "mode=700", true},
	{"efivarfs", "/sys/firmware/efi/efivars", "efivarfs", hardened | unix.MS_RDONLY, "", true},
	{"devpts", "/dev/pts", "devpts", unix.MS_NOSUID | unix.MS_NOEXEC, "gid=5,mode=0620,ptmxmode=0666", false},
	{"shm", "/dev/shm", "tmpfs", hardened, "mode=1777,size=10%", false},
	{"mqueue", "/dev/mqueue", "mqueue", hardened, "", true},
	{"tmpfs", "/run", "tmpfs", hardened, "mode=755,size=10%", false},
	{"tmpfs", "/tmp", "tmpfs", hardened, "mode=1777,size=10%", false},
	{"tmpfs", "/var", "tmpfs", hardened, "mode=755,size=50%", false},
}

// Directories in the file systems above.
var directoriesToMake = []struct {
	path string
	mode os.FileMode
}{
	{"/var/cache", 0o755}, {"/var/empty", 0o555}, {"/var/lib", 0o755}, {"/var/local", 0o755}, {"/var/lock", 0o755},
	{"/var/log", 0o755}, {"/var/opt", 0o755}, {"/var/spool", 0o755}, {"/var/tmp", 0o777 | os.ModeSticky},
	{"/run/lkt", 0o700}, {"/run/resolvconf", 0o755},
}

var linksToMake = map[string]string{
	"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0", "/dev/stdout": "/proc/self/fd/1",
	"/dev/stderr": "/proc/self/fd/2", "/var/run": "/run",
}

func mountAll() {
	for _, m := range mounts {
		if m.optional {
			if _, err := os.Stat(m.target); err != nil && m.source != "mqueue" {
				continue
			}
		} else if err := os.MkdirAll(m.target, 0o755); err != nil {
			step("%v", err)
		}
		if m.source == "mqueue" {
			_ = os.Mkdir(m.target, 0o1777)
		}
		err := unix.Mount(m.source, m.target, m.fstype, m.flags, m.data)
		if err != nil && !m.optional {
			step("mount %s: %v", m.target, err)
		}
	}
	for _, d := range directoriesToMake {
		if err := os.MkdirAll(d.path, 0o755); err != nil {
			step("%v", err)
		}
		if err := os.Chmod(d.path, d.mode); err != nil {
			step("%v", err)
		}
	}
	for path, target := range linksToMake {
		if err := os.Symlink(target, path); err != nil && !os.IsExist(err) {
			step("%v", err)
		}
	}
	// The target of /etc/resolv.conf, which containers bind before there is a name server.
	if err := os.WriteFile("/run/resolvconf/resolv.conf", nil, 0o644); err != nil {
		step("%v", err)
	}
	// Containers see later mounts of the host only if their spec requests it.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		step("share mounts: %v", err)
	}
	if err := bundle.EnableControllers("/sys/fs/cgroup"); err != nil {
		step("%v", err)
	}
}

// hardenDevices removes the device files of memory and I/O ports, which no program of the host
// uses.
func hardenDevices() {
	for _, name := range []string{"mem", "kmem", "port"} {
		if err := os.Remove("/dev/" + name); err != nil && !os.IsNotExist(err) {
			step("%v", err)
		}
	}
}
