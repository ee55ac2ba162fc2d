package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"lkt/dhcp/channel"
	"lkt/dhcp/role/actuator"
	"lkt/dhcp/role/wire"
	"lkt/dhcp/sandbox"
	"lkt/dhcp/setup"
)

// launch opens the files and sockets of all three processes, starts two of them, and becomes the
// third by execve.
func launch(o options) error {
	// Descriptors inherited from the parent are not for the three processes.
	if err := unix.CloseRange(3, 1<<32-1, unix.CLOSE_RANGE_CLOEXEC); err != nil && !errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("close_range: %w", err)
	}
	links, err := selectLinks(o.names)
	if err != nil {
		return err
	}
	if err := bringUp(links); err != nil {
		return err
	}
	wireEnd, engineWire, err := channel.Pair()
	if err != nil {
		return err
	}
	engineEnd, actuatorEnd, err := channel.Pair()
	if err != nil {
		return err
	}
	lifelineEnd, lifeline, err := channel.Pair()
	if err != nil {
		return err
	}
	wireFiles := []uintptr{uintptr(wireEnd), uintptr(lifelineEnd)}
	for _, l := range links {
		sockets, err := wire.Open(l.Index)
		if err != nil {
			return fmt.Errorf("%s: %w", l.Name, err)
		}
		wireFiles = append(wireFiles, uintptr(sockets[0]), uintptr(sockets[1]))
	}
	files := setup.ActuatorFiles{Engine: actuatorEnd, Lifeline: int(lifeline)}
	if files.RouteSocket, err = actuator.OpenRouteSocket(); err != nil {
		return err
	}
	if files.RouteMonitor, err = actuator.OpenRouteMonitor(); err != nil {
		return err
	}
	if o.resolv != "" {
		if files.Resolv, err = actuator.OpenResolv(o.resolv); err != nil {
			return err
		}
	}
	host, _ := os.Hostname()
	var seed [32]byte
	// Not crypto/rand, which links many ciphers.
	if _, err := unix.Getrandom(seed[:], 0); err != nil {
		return fmt.Errorf("getrandom: %w", err)
	}
	if err := startRole(setup.Setup{Role: "wire", Interfaces: links}, wireFiles); err != nil {
		return err
	}
	client := setup.Setup{Role: "engine", Interfaces: links, HostName: host, Probes: o.probes, Seed: seed[:]}
	if err := startRole(client, []uintptr{uintptr(engineWire), uintptr(engineEnd)}); err != nil {
		return err
	}
	return execRole(setup.Setup{Role: "actuator", Interfaces: links, Once: o.once, Wait: o.wait, Files: files})
}

func selectLinks(names []string) ([]setup.Interface, error) {
	if len(names) == 0 {
		found, err := ethernetLinks()
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, errors.New("no Ethernet interface")
		}
		names = found
	}
	var links []setup.Interface
	for _, name := range names {
		l, err := findLink(name)
		if err != nil {
			return nil, err
		}
		links = append(links, l)
	}
	return links, nil
}

const self = "/proc/self/exe"

// startRole starts a role without capabilities, under its own user, with files as its descriptors
// from 3.
func startRole(s setup.Setup, files []uintptr) error {
	role, err := sandbox.LookupRole(s.Role)
	if err != nil {
		return err
	}
	if len(role.Capabilities) > 0 {
		return fmt.Errorf("role %s must not have capabilities", s.Role)
	}
	environment, err := s.Environment()
	if err != nil {
		return err
	}
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("/dev/null: %w", err)
	}
	defer unix.Close(null)
	_, err = syscall.ForkExec(self, []string{"dhcp-" + s.Role}, &syscall.ProcAttr{
		Dir: "/", Env: environment, Files: append([]uintptr{uintptr(null), 2, 2}, files...),
		Sys: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: role.UID, Gid: role.UID}},
	})
	if err != nil {
		return fmt.Errorf("start %s: %w", s.Role, withFix(err))
	}
	for _, fd := range files {
		unix.Close(int(fd))
	}
	return nil
}

// execRole replaces this process by a role. This thread takes the role's user and capabilities;
// execve ends the other threads.
func execRole(s setup.Setup) error {
	role, err := sandbox.LookupRole(s.Role)
	if err != nil {
		return err
	}
	environment, err := s.Environment()
	if err != nil {
		return err
	}
	for _, fd := range []int{int(s.Files.Engine), s.Files.Lifeline, s.Files.RouteSocket, s.Files.RouteMonitor, s.Files.Resolv} {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return fmt.Errorf("keep file descriptor %d: %w", fd, err)
		}
	}
	runtime.LockOSThread()
	if err := setCredentials(role); err != nil {
		return fmt.Errorf("switch to role %s: %w", s.Role, withFix(err))
	}
	return syscall.Exec(self, []string{"dhcp-" + s.Role}, environment)
}

// setCredentials changes the user of this thread and keeps the role's capabilities over execve
// (capabilities(7), ambient set).
func setCredentials(role sandbox.Role) error {
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return err
	}
	id := uintptr(role.UID)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); errno != 0 {
		return errno
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, id, id, id); errno != 0 {
		return errno
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, id, id, id); errno != 0 {
		return errno
	}
	set, err := role.CapabilitySet()
	if err != nil {
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

// withFix adds to EPERM the capabilities that the container lacks.
func withFix(err error) error {
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%w\n  fix: give the container the capabilities that pkg/dhcp/build.yml lists", err)
	}
	return err
}
