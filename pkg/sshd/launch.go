package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"lkt/sandbox"
	"lkt/sshd/channel"
	"lkt/sshd/hostkey"
	"lkt/sshd/role/monitor"
	"lkt/sshd/settings"
	"lkt/sshd/setup"
	"lkt/sshd/users"
)

// ownCapabilities are those of pkg/sshd/build.yml.
const ownCapabilities = 1<<unix.CAP_KILL | 1<<unix.CAP_NET_BIND_SERVICE | 1<<unix.CAP_SETGID | 1<<unix.CAP_SETUID

// launch opens what the processes need, starts two of them, and becomes the third by execve. After
// that, only keys has the host key in memory.
func launch(roles sandbox.Roles, arguments []string) error {
	path := settings.Path
	switch {
	case len(arguments) == 1 && filepath.IsAbs(arguments[0]):
		path = arguments[0]
	case len(arguments) > 0:
		return errors.New("the only argument is the path of the settings")
	}
	s, err := settings.Load(path)
	if err != nil {
		return err
	}
	known, err := users.Load("/etc/passwd", "/etc/group", s.Users)
	if err != nil {
		return err
	}
	hostFile, public, err := openHostKey(s.HostKeys)
	if err != nil {
		return fmt.Errorf("host key: %w", err)
	}
	sockets, err := listen(s)
	if err != nil {
		return err
	}
	listenerEnd, monitorListener, err := channel.Pair()
	if err != nil {
		return err
	}
	keysEnd, monitorKeys, err := channel.Pair()
	if err != nil {
		return err
	}
	extra, err := extraCapabilities()
	if err != nil {
		return err
	}
	if err := roles["listener"].Start(setup.Setup{Settings: s, Sockets: len(sockets)}, append([]int{listenerEnd}, sockets...)...); err != nil {
		return err
	}
	if err := roles["keys"].Start(setup.Setup{Settings: s}, keysEnd, hostFile); err != nil {
		return err
	}
	fmt.Printf("sshd: host key %s\n", ssh.FingerprintSHA256(public))
	return monitor.Exec(setup.Setup{
		Settings: s, Users: known, HostKey: public.Marshal(), Listener: monitorListener, Keys: monitorKeys, Extra: extra,
	}, monitorListener, monitorKeys)
}

func openHostKey(directory string) (fd int, public ssh.PublicKey, err error) {
	file, err := hostkey.Open(directory)
	if err != nil {
		return 0, nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, hostkey.MaxSize))
	if err != nil {
		return 0, nil, err
	}
	key, err := hostkey.Parse(text)
	if err != nil {
		return 0, nil, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return 0, nil, err
	}
	fd, err = unix.Dup(int(file.Fd()))
	return fd, key.PublicKey(), err
}

// listen opens the sockets of all addresses.
func listen(s settings.Settings) ([]int, error) {
	addresses := s.Addresses
	if len(addresses) == 0 {
		addresses = []netip.Addr{netip.IPv6Unspecified()}
	}
	var sockets []int
	for _, address := range addresses {
		fd, err := listenOn(netip.AddrPortFrom(address, s.Port).String())
		if err != nil && len(s.Addresses) == 0 {
			// A kernel without IPv6.
			fd, err = listenOn(netip.AddrPortFrom(netip.IPv4Unspecified(), s.Port).String())
		}
		if err != nil {
			return nil, err
		}
		sockets = append(sockets, fd)
	}
	return sockets, nil
}

func listenOn(address string) (int, error) {
	socket, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
	if err != nil {
		return 0, err
	}
	defer socket.Close()
	file, err := socket.(*net.TCPListener).File()
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return unix.Dup(int(file.Fd()))
}

// extraCapabilities returns the capabilities of this process that the server does not need.
func extraCapabilities() (uint32, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, err
	}
	return data[0].Permitted &^ ownCapabilities, nil
}
