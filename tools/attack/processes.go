package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var processes = []attempt{
	{"ptrace", func() error {
		return onOthers(func(pid int) error { return unix.PtraceAttach(pid) })
	}},
	{"read-memory", func() error {
		return onOthers(func(pid int) error {
			local := []byte{0}
			_, err := unix.ProcessVMReadv(pid, []unix.Iovec{{Base: &local[0], Len: 1}}, []unix.RemoteIovec{{Base: 4096, Len: 1}}, 0)
			if errors.Is(err, unix.EFAULT) {
				return nil // the address was accessed
			}
			return err
		})
	}},
	{"kill", func() error {
		return onOthers(func(pid int) error { return unix.Kill(pid, 0) })
	}},
	{"see-others", func() error {
		entries, err := os.ReadDir("/proc")
		if err != nil {
			return err
		}
		for _, e := range entries {
			if pid, err := strconv.Atoi(e.Name()); err == nil && staysOther(pid) {
				return nil
			}
		}
		return stopped("alone")
	}},
	{"other-root", func() error {
		return onOthers(func(pid int) error {
			_, err := os.ReadDir(fmt.Sprintf("/proc/%d/root/", pid))
			return err
		})
	}},
	{"enter-namespace", func() error {
		return onOthers(func(pid int) error {
			fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/mnt", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			return unix.Setns(fd, 0)
		})
	}},
	{"user-namespace", func() error {
		// unshare(2) does not work in a multithreaded Go program.
		c := exec.Command("/proc/self/exe", "done")
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}
		err := c.Start()
		if err == nil {
			_ = c.Wait()
		}
		return err
	}},
	{"new-namespaces", func() error {
		return anyOf([]int{unix.CLONE_NEWNS, unix.CLONE_NEWNET, unix.CLONE_NEWPID, unix.CLONE_NEWCGROUP}, unix.Unshare)
	}},
	{"become-root", func() error {
		if os.Getuid() == 0 {
			return stopped("root already")
		}
		return unix.Setuid(0)
	}},
	{"capabilities", func() error {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		data := [2]unix.CapUserData{{Effective: 1 << unix.CAP_SYS_ADMIN, Permitted: 1 << unix.CAP_SYS_ADMIN}}
		return unix.Capset(&header, &data[0])
	}},
	{"priority", func() error { return unix.Setpriority(unix.PRIO_PROCESS, 0, -20) }},
	{"raise-limit", func() error {
		return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY})
	}},
	{"keys-of-others", func() error {
		text, err := os.ReadFile("/proc/keys")
		if err != nil {
			return err
		}
		if strings.Contains(string(text), "attack-victim") {
			return nil
		}
		return stopped("hidden")
	}},
	{"key-search", func() error {
		// Possession of a keyring allows reading its keys, and a link to the session keyring grants
		// possession.
		if _, err := unix.KeyctlInt(unix.KEYCTL_LINK, unix.KEY_SPEC_USER_KEYRING, unix.KEY_SPEC_SESSION_KEYRING, 0, 0); err != nil {
			return err
		}
		id, err := unix.KeyctlSearch(unix.KEY_SPEC_USER_KEYRING, "user", "attack-victim", 0)
		if err != nil {
			return err
		}
		_, err = unix.KeyctlBuffer(unix.KEYCTL_READ, id, make([]byte, 64), 64)
		return err
	}},
	{"self-exe", selfExe},
}

// others returns process IDs outside this container: visible ones, and guesses.
func others() (found []int) {
	for pid := 1; pid < 400; pid++ {
		if !isMine(pid) {
			found = append(found, pid)
		}
	}
	return found
}

// onOthers tries all processes outside this container, like anyOf.
func onOthers(try func(pid int) error) error {
	return anyOf(others(), func(pid int) error {
		err := try(pid)
		if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT) || staysOther(pid) {
			return err
		}
		return unix.ESRCH
	})
}

// staysOther returns false for processes that exit soon or turn out to be in this container: the
// runtime's processes join it before they execute their program, which takes seconds on a loaded
// machine.
func staysOther(pid int) bool {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, gone := os.Stat(fmt.Sprintf("/proc/%d", pid)); gone != nil || isMine(pid) {
			return false
		}
	}
	return true
}

// isMine reports whether a process is in this container: it shares the mount namespace, as all do,
// or the cgroup if it has privileges that hide its namespaces from this process.
func isMine(pid int) bool {
	own, err := os.Readlink("/proc/self/ns/mnt")
	other, err2 := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", pid))
	if errors.Is(err2, os.ErrPermission) {
		ownGroup, err := os.ReadFile("/proc/self/cgroup")
		group, err2 := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		return err == nil && err2 == nil && string(ownGroup) == string(group)
	}
	return err == nil && err2 == nil && own == other
}

// selfExe waits for the runtime to enter the container, as it does for readiness checks, and tries
// to write to its program (CVE-2019-5736). It takes some seconds, and longer if the runtime has not
// entered.
func selfExe() error {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	notEntered := error(stopped("not entered"))
	seen := notEntered
	for start := time.Now(); time.Since(start) < 8*time.Second || (seen == notEntered && time.Since(start) < 2*time.Minute); {
		for pid := 1; pid < 200; pid++ {
			path := fmt.Sprintf("/proc/%d/exe", pid)
			target, err := os.Readlink(path)
			if errors.Is(err, os.ErrNotExist) || target == self {
				continue
			}
			file, err := os.OpenFile(path, os.O_WRONLY, 0)
			switch {
			case err == nil:
				file.Close()
				return nil
			case errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EROFS) || errors.Is(err, unix.ETXTBSY):
				seen = stopped("refused") // which of these errors occurs depends on timing
			}
		}
	}
	return seen
}
