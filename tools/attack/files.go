package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

var files = []attempt{
	{"write-root", func() error {
		return anyOf([]string{"/", "/usr", "/proc/1/root/etc", "/containers", "/host"}, func(dir string) error {
			if err := os.WriteFile(filepath.Join(dir, "was-here"), []byte("x"), 0o600); err != nil {
				return err
			}
			var stat unix.Statfs_t
			if unix.Statfs(dir, &stat) == nil && stat.Type == unix.OVERLAYFS_SUPER_MAGIC {
				return stopped("own layer")
			}
			return nil
		})
	}},
	{"remount-root", func() error {
		if err := unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND, ""); err == nil {
			return nil
		}
		return unix.Mount("", "/", "", unix.MS_REMOUNT, "")
	}},
	{"mount-new", func() error {
		return anyOf([]string{"tmpfs", "proc", "sysfs", "devtmpfs", "cgroup2", "cgroup", "overlay"}, func(kind string) error {
			return unix.Mount(kind, "/tmp", kind, 0, "")
		})
	}},
	{"mount-api", func() error {
		fd, err := unix.Fsopen("tmpfs", 0)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}},
	{"chroot", func() error { return unix.Chroot("/tmp") }},
	{"pivot-root", func() error { return unix.PivotRoot("/tmp", "/tmp") }},
	{"mknod-disk", func() error { return unix.Mknod("/tmp/disk", unix.S_IFBLK|0o600, 254<<8) }},
	{"mknod-mem", func() error { return unix.Mknod("/tmp/mem", unix.S_IFCHR|0o600, 1<<8|1) }},
	{"open-disk", func() error {
		return anyOf([]string{"/dev/vda", "/dev/sda", "/dev/sr0", "/dev/kmsg", "/dev/console", "/dev/ttyS0"}, read)
	}},
	{"setuid-file", func() error {
		// A setuid program, if the bit had an effect.
		program, err := os.ReadFile("/proc/self/exe")
		if err != nil {
			return err
		}
		return anyOf([]string{"/tmp", "/run", "/dev/shm", "/shared"}, func(dir string) error {
			path := filepath.Join(dir, "suid")
			if err := os.WriteFile(path, program, 0o755); err != nil {
				return err
			}
			defer os.Remove(path)
			if err := os.Chmod(path, 0o755|os.ModeSetuid); err != nil {
				return err
			}
			var stat unix.Statfs_t
			if err := unix.Statfs(path, &stat); err != nil || stat.Flags&unix.ST_NOSUID == 0 {
				return err
			}
			return stopped("nosuid")
		})
	}},
	{"lease-file", func() error {
		// Who opens the file for writing must then wait for 45 seconds.
		file, err := os.Open("/proc/self/exe")
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
		return err
	}},
	{"follow-symlink", followSymlink},
	{"fill-disk", fillDisk},
}

// followSymlink repeatedly replaces a directory in a shared bind mount by a link out of it, which
// must lead to this container's own files only. The link stays, for the next start of a service
// that binds a directory below: see bound.
func followSymlink() error {
	const shared = "/shared"
	inside := filepath.Join(shared, "inside")
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		_ = os.RemoveAll(inside)
		if err := os.Symlink("/../../../../..", inside); err != nil {
			return err
		}
		if hasRoot(inside) {
			return nil
		}
	}
	return stopped("own files")
}

// hasRoot reports whether dir has files that only the machine's root has.
func hasRoot(dir string) bool {
	for _, name := range []string{"containers", "init"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// bound is a service that binds a directory which another service has replaced by a link to the
// machine's root.
func bound() {
	if hasRoot("/data") {
		fmt.Println("attack bind-symlink: OPEN")
	} else {
		fmt.Println("attack bind-symlink: own files")
	}
	wait()
}

// fillDisk writes everywhere in a child process until there is no space.
func fillDisk() error { return sacrifice("fill") }

func fill() {
	expendable()
	const limit = 1 << 30
	chunk := make([]byte, 1<<20)
	for _, dir := range []string{"/tmp", "/run", "/dev/shm", "/shared", "/"} {
		file, err := os.Create(filepath.Join(dir, "fill"))
		if err != nil {
			continue
		}
		_ = os.Remove(file.Name()) // freed when the process exits
		for written := 0; written < limit; {
			n, err := file.Write(chunk)
			if written += n; err != nil {
				break
			}
			if written >= limit {
				os.Exit(0)
			}
		}
	}
	os.Exit(1)
}
