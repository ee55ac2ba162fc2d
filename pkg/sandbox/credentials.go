package sandbox

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

var capabilities = map[string]uint{
	"NET_ADMIN":        unix.CAP_NET_ADMIN,
	"NET_BIND_SERVICE": unix.CAP_NET_BIND_SERVICE,
	"NET_RAW":          unix.CAP_NET_RAW,
	"SETGID":           unix.CAP_SETGID,
	"SETUID":           unix.CAP_SETUID,
	"CHOWN":            unix.CAP_CHOWN,
	"KILL":             unix.CAP_KILL,
	"FOWNER":           unix.CAP_FOWNER,
	"SYS_ADMIN":        unix.CAP_SYS_ADMIN,
	"SYS_MODULE":       unix.CAP_SYS_MODULE,
	"SYS_TIME":         unix.CAP_SYS_TIME,
}

// capabilitySet returns the role's capabilities as a bit set.
func (r Role) capabilitySet() (uint32, error) {
	var set uint32
	for _, name := range r.Capabilities {
		number, known := capabilities[name]
		if !known {
			return 0, fmt.Errorf("unknown capability %q", name)
		}
		set |= 1 << number
	}
	return set, nil
}

// Available returns the role without the capabilities that this process has not, for a program that
// is useful without them.
func (r Role) Available() Role {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return r
	}
	r.Capabilities = slices.DeleteFunc(slices.Clone(r.Capabilities), func(name string) bool {
		return data[0].Permitted&(1<<capabilities[name]) == 0
	})
	return r
}

// confineThread gives this thread the user, the capabilities, no_new_privs and the file and network
// rules of the role. A program that it executes has them on all its threads.
func (r Role) confineThread() error {
	set, err := r.capabilitySet()
	if err != nil {
		return err
	}
	// This needs CAP_SETPCAP, which the user of the role may not have.
	if err := dropBounding(set); err != nil {
		return fmt.Errorf("bounding set: %w", err)
	}
	if r.UID != 0 && os.Geteuid() != int(r.UID) {
		if err := setUser(uintptr(r.UID)); err != nil {
			return fmt.Errorf("user %d: %w", r.UID, err)
		}
	}
	if err := setCapabilities(set); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	return r.restrict()
}

// setUser changes user and groups of this thread only, and keeps its capabilities. The functions of
// package syscall change all threads.
func setUser(id uintptr) error {
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return err
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); errno != 0 {
		return errno
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, id, id, id); errno != 0 {
		return errno
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, id, id, id); errno != 0 {
		return errno
	}
	return nil
}

// dropBounding removes all other capabilities from the bounding set if the launcher may. Without
// that, no_new_privs alone prevents that a program gains capabilities.
func dropBounding(set uint32) error {
	const last = 63
	for capability := uintptr(0); capability <= last; capability++ {
		if capability < 32 && set&(1<<capability) != 0 {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0)
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EPERM) {
			return err
		}
	}
	return nil
}

// setCapabilities sets the capabilities of this thread and of what it executes (capabilities(7),
// ambient set).
func setCapabilities(set uint32) error {
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return err
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{{Effective: set, Permitted: set, Inheritable: set}}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return err
	}
	for capability := uintptr(0); capability < 32; capability++ {
		if set&(1<<capability) != 0 {
			if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, capability, 0, 0); err != nil {
				return err
			}
		}
	}
	return nil
}
