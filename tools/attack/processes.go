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
				return nil // it was looked for
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
		// unshare(2) cannot: a program of Go has several threads.
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
		// Whoever possesses the keyring may read what is in it, and possesses what is linked to its session's.
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

// others are ids of processes that are not of this container: those it sees, and what it may guess.
func others() (found []int) {
	for pid := 1; pid < 400; pid++ {
		if !isMine(pid) {
			found = append(found, pid)
		}
	}
	return found
}

// onOthers is anyOf them.
func onOthers(try func(pid int) error) error {
	return anyOf(others(), func(pid int) error {
		err := try(pid)
		if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT) || staysOther(pid) {
			return err
		}
		return unix.ESRCH
	})
}

// staysOther is false for what is gone soon, or this container's: what the runtime sends here is that as soon as it runs its program,
// which takes seconds on a machine that others use too.
func staysOther(pid int) bool {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, gone := os.Stat(fmt.Sprintf("/proc/%d", pid)); gone != nil || isMine(pid) {
			return false
		}
	}
	return true
}

// isMine says whether a process has this one's files, as all of the container have.
func isMine(pid int) bool {
	own, err := os.Readlink("/proc/self/ns/mnt")
	its, err2 := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", pid))
	return err == nil && err2 == nil && own == its
}

// selfExe waits for the runtime to come into this container, as it does to ask whether the service is ready, and writes to the
// program that it runs (CVE-2019-5736): some seconds long, and longer when nobody has come.
func selfExe() error {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	nobody := error(stopped("nobody came"))
	seen := nobody
	for start := time.Now(); time.Since(start) < 8*time.Second || (seen == nobody && time.Since(start) < 2*time.Minute); {
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
				seen = stopped("refused") // by which of them is a matter of the moment
			}
		}
	}
	return seen
}
