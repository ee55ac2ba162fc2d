package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"lkt/shutdown"
)

// command is one that the host may request.
type command struct {
	do func(a *agent, arguments map[string]json.RawMessage) (any, error)
	// isSilent means that success has no answer.
	isSilent bool
	// isDelimited means that the answer begins with a delimiter.
	isDelimited bool
}

// nothing is the answer without content.
var nothing = struct{}{}

var commands map[string]command

func init() {
	commands = map[string]command{
		"guest-sync":                   {do: sync},
		"guest-sync-delimited":         {do: sync, isDelimited: true},
		"guest-ping":                   {do: func(*agent, map[string]json.RawMessage) (any, error) { return nothing, nil }},
		"guest-info":                   {do: info},
		"guest-get-time":               {do: func(*agent, map[string]json.RawMessage) (any, error) { return time.Now().UnixNano(), nil }},
		"guest-get-timezone":           {do: func(*agent, map[string]json.RawMessage) (any, error) { return zone, nil }},
		"guest-get-users":              {do: func(*agent, map[string]json.RawMessage) (any, error) { return []string{}, nil }},
		"guest-get-host-name":          {do: hostName},
		"guest-get-osinfo":             {do: system},
		"guest-network-get-interfaces": {do: interfaces},
		"guest-shutdown":               {do: end, isSilent: true},
	}
}

var zone = map[string]any{"zone": "UTC", "offset": 0}

func sync(_ *agent, arguments map[string]json.RawMessage) (any, error) {
	var id int64
	if err := json.Unmarshal(arguments["id"], &id); err != nil {
		return nil, fmt.Errorf("the argument id must be an integer")
	}
	return id, nil
}

func info(*agent, map[string]json.RawMessage) (any, error) {
	type supported struct {
		Name       string `json:"name"`
		IsEnabled  bool   `json:"enabled"`
		HasSuccess bool   `json:"success-response"`
	}
	list := []supported{}
	for name, c := range commands {
		list = append(list, supported{name, true, !c.isSilent})
	}
	slices.SortFunc(list, func(a, b supported) int { return strings.Compare(a.Name, b.Name) })
	return map[string]any{"version": "lkt", "supported_commands": list}, nil
}

func hostName(*agent, map[string]json.RawMessage) (any, error) {
	name, err := os.Hostname()
	return map[string]string{"host-name": name}, err
}

// system describes the kernel, and the system by /etc/os-release (os-release(5)).
func system(*agent, map[string]json.RawMessage) (any, error) {
	var u syscall.Utsname
	if err := syscall.Uname(&u); err != nil {
		return nil, err
	}
	answer := map[string]string{
		"kernel-release": text(u.Release[:]), "kernel-version": text(u.Version[:]), "machine": text(u.Machine[:]), "id": "lkt", "name": "lkt",
	}
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return answer, nil
	}
	keys := map[string]string{
		"ID": "id", "NAME": "name", "PRETTY_NAME": "pretty-name", "VERSION": "version", "VERSION_ID": "version-id",
		"VARIANT": "variant", "VARIANT_ID": "variant-id",
	}
	for line := range strings.Lines(string(release)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if name, found := keys[key]; found {
			answer[name] = strings.Trim(value, `"'`)
		}
	}
	return answer, nil
}

func text(field []int8) string {
	var b strings.Builder
	for _, c := range field {
		if c == 0 {
			break
		}
		b.WriteByte(byte(c))
	}
	return b.String()
}

func interfaces(*agent, map[string]json.RawMessage) (any, error) {
	type address struct {
		Kind   string `json:"ip-address-type"`
		IP     string `json:"ip-address"`
		Prefix int    `json:"prefix"`
	}
	type link struct {
		Name      string    `json:"name"`
		Hardware  string    `json:"hardware-address,omitempty"`
		Addresses []address `json:"ip-addresses,omitempty"`
	}
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	list := []link{}
	for _, one := range all {
		l := link{Name: one.Name, Hardware: one.HardwareAddr.String()}
		addresses, err := one.Addrs()
		if err != nil {
			return nil, err
		}
		for _, a := range addresses {
			network, isNetwork := a.(*net.IPNet)
			if !isNetwork {
				continue
			}
			kind := "ipv6"
			if network.IP.To4() != nil {
				kind = "ipv4"
			}
			prefix, _ := network.Mask.Size()
			l.Addresses = append(l.Addresses, address{kind, network.IP.String(), prefix})
		}
		list = append(list, l)
	}
	return list, nil
}

func end(a *agent, arguments map[string]json.RawMessage) (any, error) {
	name := shutdown.PowerDown.String()
	if arguments["mode"] != nil {
		if err := json.Unmarshal(arguments["mode"], &name); err != nil {
			return nil, fmt.Errorf("the argument mode must be a text")
		}
	}
	if m, found := shutdown.Parse(name); found {
		return nil, a.power(m)
	}
	return nil, fmt.Errorf("the mode must be powerdown, reboot or halt, not %.80q", name)
}
