package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lkt/ip/wireguard"
)

const (
	wgUsage = "wg show [INTERFACE [latest-handshakes|transfer]], wg setconf|addconf INTERFACE FILE, " +
		"wg set INTERFACE [listen-port N] [fwmark N] [private-key FILE] [peer KEY …]"
	// maxConfigSize limits the size of a config file.
	maxConfigSize = 1 << 20
)

func wg(args []string) error {
	if len(args) == 0 {
		args = []string{"show"}
	}
	switch {
	case args[0] == "show" && len(args) <= 3:
		return show(os.Stdout, args[1:])
	case (args[0] == "setconf" || args[0] == "addconf") && len(args) == 3:
		device, err := readConfig(args[2], false)
		if err != nil {
			return err
		}
		return set(args[1], device, args[0] == "setconf")
	case args[0] == "set" && len(args) >= 2:
		device, err := parseSet(args[2:])
		if err != nil {
			return err
		}
		return set(args[1], device, false)
	}
	return fmt.Errorf("unknown command %q\n  fix: %s", strings.Join(args, " "), wgUsage)
}

func set(name string, device *wireguard.Device, replace bool) error {
	kernel, err := wireguard.Open()
	if err != nil {
		return err
	}
	return kernel.Set(name, device, replace, resolve)
}

func readConfig(path string, quick bool) (*wireguard.Device, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	device, err := wireguard.ParseConfig(text, quick)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return device, nil
}

func readFile(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxConfigSize+1))
	if err == nil && len(text) > maxConfigSize {
		err = fmt.Errorf("%s exceeds %d bytes", path, maxConfigSize)
	}
	return string(text), err
}

// parseSet parses the arguments after "wg set INTERFACE".
func parseSet(args []string) (*wireguard.Device, error) {
	d := &wireguard.Device{}
	var peer *wireguard.Peer
	for len(args) > 0 {
		name := args[0]
		args = args[1:]
		if name == "remove" && peer != nil {
			peer.Remove = true
			continue
		}
		if len(args) == 0 {
			return nil, fmt.Errorf("unknown option %q, or its value is missing", name)
		}
		value := args[0]
		args = args[1:]
		var err error
		switch {
		case name == "peer":
			d.Peers = append(d.Peers, wireguard.Peer{})
			peer = &d.Peers[len(d.Peers)-1]
			peer.PublicKey, err = wireguard.ParseKey(value)
		case peer == nil:
			err = setDevice(d, name, value)
		default:
			err = setPeer(peer, name, value)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return d, nil
}

var errUnknown = errors.New("unknown option\n  fix: " + wgUsage)

func setDevice(d *wireguard.Device, name, value string) (err error) {
	switch name {
	case "listen-port":
		d.ListenPort, err = wireguard.ParsePort(value)
	case "fwmark":
		d.Mark, err = wireguard.ParseMark(value)
	case "private-key":
		d.PrivateKey, err = readKey(value)
	default:
		err = errUnknown
	}
	return err
}

func setPeer(p *wireguard.Peer, name, value string) (err error) {
	switch name {
	case "preshared-key":
		p.PresharedKey, err = readKey(value)
	case "endpoint":
		p.Endpoint, err = wireguard.ParseEndpoint(value)
	case "persistent-keepalive":
		p.Keepalive, err = wireguard.ParseKeepalive(value)
	case "allowed-ips":
		p.ReplaceAllowed = true
		if value != "" {
			p.AllowedIPs, err = wireguard.ParseAllowed(value)
		}
	default:
		err = errUnknown
	}
	return err
}

func readKey(path string) (*wireguard.Key, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	key, err := wireguard.ParseKey(strings.TrimSpace(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &key, nil
}

func show(out io.Writer, args []string) error {
	var names []string
	if len(args) == 0 || args[0] == "all" || args[0] == "interfaces" {
		links, err := filepath.Glob("/sys/class/net/*/uevent")
		if err != nil {
			return err
		}
		for _, link := range links {
			if text, err := os.ReadFile(link); err == nil && strings.Contains(string(text), "DEVTYPE=wireguard\n") {
				names = append(names, filepath.Base(filepath.Dir(link)))
			}
		}
		if len(args) == 1 && args[0] == "interfaces" {
			fmt.Fprintln(out, strings.Join(names, " "))
			return nil
		}
	} else {
		names = args[:1]
	}
	kernel, err := wireguard.Open()
	if err != nil {
		return err
	}
	for _, name := range names {
		device, err := kernel.Get(name)
		if err != nil {
			return err
		}
		switch {
		case len(args) < 2:
			fmt.Fprint(out, describe(name, device, time.Now()))
		case args[1] == "latest-handshakes":
			for _, p := range device.Peers {
				fmt.Fprintf(out, "%v\t%d\n", p.PublicKey, max(p.LastHandshake.Unix(), 0))
			}
		case args[1] == "transfer":
			for _, p := range device.Peers {
				fmt.Fprintf(out, "%v\t%d\t%d\n", p.PublicKey, p.Received, p.Transmit)
			}
		default:
			return fmt.Errorf("show: %s: %w", args[1], errUnknown)
		}
	}
	return nil
}
