package main

import (
	"bufio"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

var kernel = []attempt{
	{"load-module", func() error {
		self, err := os.Open("/proc/self/exe")
		if err != nil {
			return err
		}
		defer self.Close()
		return unix.FinitModule(int(self.Fd()), "", 0)
	}},
	{"kexec", func() error { return kexec() }},
	{"kexec-file", func() error {
		self, err := os.Open("/proc/self/exe")
		if err != nil {
			return err
		}
		defer self.Close()
		return unix.KexecFileLoad(int(self.Fd()), int(self.Fd()), "", 0)
	}},
	{"reboot", func() error {
		// An invalid command: permissions are checked first.
		err := unix.Reboot(0x12345)
		if err == unix.EINVAL {
			return nil
		}
		return err
	}},
	{"sysrq", func() error { return write("/proc/sysrq-trigger", "h") }},
	{"dev-mem", func() error { return anyOf([]string{"/dev/mem", "/dev/kmem", "/dev/port"}, read) }},
	{"kcore", func() error { return read("/proc/kcore") }},
	{"kallsyms", kallsyms},
	{"dmesg", func() error {
		_, err := unix.Klogctl(3, make([]byte, 4096))
		return err
	}},
	{"bpf", func() error {
		attributes := [16]uint32{2 /* array */, 4, 4, 1}
		return call(unix.SYS_BPF, 0, uintptr(unsafe.Pointer(&attributes)), unsafe.Sizeof(attributes))
	}},
	{"io-uring", func() error {
		var parameters [120]byte
		return call(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&parameters)), 0)
	}},
	{"userfaultfd", func() error { return call(unix.SYS_USERFAULTFD, 0, 0, 0) }},
	{"iopl", func() error { return call(unix.SYS_IOPL, 3, 0, 0) }},
	{"set-clock", func() error {
		var now unix.Timeval
		if err := unix.Gettimeofday(&now); err != nil {
			return err
		}
		return unix.Settimeofday(&now)
	}},
	{"set-hostname", func() error { return unix.Sethostname([]byte("pwned")) }},
	{"core-pattern", func() error { return write("/proc/sys/kernel/core_pattern", "|/attack") }},
	{"modprobe-path", func() error {
		return anyOf([]string{"/proc/sys/kernel/modprobe", "/proc/sys/kernel/usermodehelper/bset"}, func(path string) error {
			return write(path, "/attack")
		})
	}},
	{"sysctl", func() error {
		return anyOf([]string{"kernel/panic", "kernel/yama/ptrace_scope", "vm/overcommit_memory", "fs/suid_dumpable",
			"user/max_user_namespaces", "net/ipv4/ip_forward"}, func(name string) error {
			text, err := os.ReadFile("/proc/sys/" + name)
			if err != nil {
				return err
			}
			return write("/proc/sys/"+name, string(text))
		})
	}},
	{"uevent-helper", func() error { return write("/sys/kernel/uevent_helper", "/attack") }},
	{"sysfs", func() error {
		return anyOf([]string{"/sys/power/state", "/sys/kernel/uevent_seqnum", "/sys/kernel/mm/transparent_hugepage/enabled"}, func(path string) error {
			err := write(path, "x")
			// The kernel may look at the mode of the file first.
			var stat unix.Statfs_t
			if err != nil && unix.Statfs(path, &stat) == nil && stat.Flags&unix.ST_RDONLY != 0 {
				return unix.EROFS
			}
			return err
		})
	}},
	{"debugfs", func() error {
		return anyOf([]string{"/sys/kernel/debug/sched", "/sys/kernel/tracing/trace"}, read)
	}},
	{"efivars", func() error {
		return os.WriteFile("/sys/firmware/efi/efivars/x-00000000-0000-0000-0000-000000000000", []byte("x"), 0o600)
	}},
	{"cgroup-release", func() error {
		return anyOf([]string{"release_agent", "notify_on_release", "cgroup.procs", "memory.max", "pids.max"}, func(name string) error {
			return write("/sys/fs/cgroup/"+name, "0")
		})
	}},
	{"cgroup-make", func() error { return os.Mkdir("/sys/fs/cgroup/mine", 0o755) }},
}

func call(number, a, b, c uintptr) error {
	got, _, errno := unix.Syscall(number, a, b, c)
	if errno != 0 {
		return errno
	}
	unix.Close(int(got))
	return nil
}

func kexec() error {
	_, _, errno := unix.Syscall6(unix.SYS_KEXEC_LOAD, 0, 0, 0, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// kallsyms returns nil if an address of the kernel is visible.
func kallsyms() error {
	file, err := os.Open("/proc/kallsyms")
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if address, _, _ := strings.Cut(lines.Text(), " "); strings.Trim(address, "0") != "" {
			return nil
		}
	}
	return stopped("hidden")
}
