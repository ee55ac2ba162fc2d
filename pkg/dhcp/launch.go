package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"lkt/dhcp/role/actuator"
	"lkt/dhcp/role/wire"
	"lkt/dhcp/setup"
	"lkt/sandbox"
)

// launch opens the files and sockets of all three processes, starts two of them, and becomes the
// third by execve.
func launch(roles sandbox.Roles, o options) error {
	links, err := selectLinks(o.names)
	if err != nil {
		return err
	}
	if err := bringUp(links); err != nil {
		return err
	}
	wireEnd, engineWire, err := sandbox.NewPair()
	if err != nil {
		return err
	}
	engineEnd, actuatorEnd, err := sandbox.NewPair()
	if err != nil {
		return err
	}
	lifelineEnd, lifeline, err := sandbox.NewPair()
	if err != nil {
		return err
	}
	monitor, err := wire.OpenMonitor()
	if err != nil {
		return err
	}
	sockets, err := wire.Open()
	if err != nil {
		return err
	}
	wireFiles := append([]int{int(wireEnd), int(lifelineEnd), monitor}, sockets[:]...)
	files := setup.ActuatorFiles{Engine: actuatorEnd, Lifeline: lifeline}
	if files.RouteSocket, err = actuator.OpenRouteSocket(); err != nil {
		return err
	}
	if files.RouteMonitor, err = actuator.OpenRouteMonitor(); err != nil {
		return err
	}
	for _, file := range []struct {
		path string
		fd   *int
	}{{o.resolv, &files.Resolv}, {o.hostName, &files.HostName}, {o.timeServers, &files.TimeServers}} {
		if file.path == "" {
			continue
		}
		if *file.fd, err = actuator.OpenFile(file.path); err != nil {
			return err
		}
	}
	secret, err := machineSecret(o.state)
	if err != nil {
		return err
	}
	if o.state != "" {
		if files.Leases, err = openLeases(o.state, links); err != nil {
			return err
		}
	}
	host, _ := os.Hostname()
	var seed [32]byte
	// Not crypto/rand, which links many ciphers.
	if _, err := unix.Getrandom(seed[:], 0); err != nil {
		return fmt.Errorf("getrandom: %w", err)
	}
	if err := roles["wire"].Start(setup.Setup{Interfaces: links}, wireFiles...); err != nil {
		return err
	}
	client := setup.Setup{
		Interfaces: links, HostName: host, Probes: o.probes, Seed: seed[:], Options: o.dhcpOptions(), IPv6: o.ipv6, Secret: secret,
	}
	if err := roles["engine"].Start(client, int(engineWire), int(engineEnd)); err != nil {
		return err
	}
	last := setup.Setup{
		Interfaces: links, Once: o.once, Privacy: o.privacy, Release: o.release, Wait: o.wait, Files: files,
	}
	return roles["actuator"].Exec(last, files.All()...)
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
