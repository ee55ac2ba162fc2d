// Command ip configures addresses, links, routes and WireGuard interfaces. It is three programs in
// one file, selected by name: ip of iproute2, wg of wireguard-tools, and LinuxKit's lk-wg-config.
// See docs/guest.md.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"lkt/ip/command"
	"lkt/sandbox"
)

//go:embed roles.json
var rolesFile []byte

// invocation is the name and the arguments of this program.
type invocation struct {
	Name string
	Args []string
}

func main() {
	i := invocation{filepath.Base(os.Args[0]), os.Args[1:]}
	err := confine(&i)
	if err == nil {
		err = run(i)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: error: %v\n", i.Name, err)
		os.Exit(1)
	}
}

// confine begins this program anew without the means to do anything but configure the network and
// read files. It returns there, with the first invocation.
func confine(i *invocation) error {
	roles, role, err := sandbox.Load("ip", rolesFile, i)
	if err != nil {
		return err
	}
	if role != nil {
		return role.Enter()
	}
	if i.Name != "wg" && i.Name != "lk-wg-config" {
		i.Name = "ip"
	}
	// Any argument may be a file, as in "-batch FILE".
	tool := roles["tool"].Available()
	tool.Read = append(tool.Read, i.Args...)
	return tool.Exec(i)
}

func run(i invocation) error {
	switch i.Name {
	case "wg":
		return wg(i.Args)
	case "lk-wg-config":
		return configure(i.Args)
	}
	tool, err := command.New(os.Stdout)
	if err != nil {
		return err
	}
	return tool.Run(i.Args)
}

// resolveTimeout limits the lookup of a peer's name.
const resolveTimeout = 15 * time.Second

// resolve returns the address of an endpoint. It retries the lookup while the network is not up
// yet.
func resolve(endpoint string) (netip.AddrPort, error) {
	if known, err := netip.ParseAddrPort(endpoint); err == nil {
		return known, nil
	}
	host, port, err := net.SplitHostPort(endpoint)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
	defer cancel()
	for {
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err == nil && len(found) > 0 {
			return netip.ParseAddrPort(net.JoinHostPort(found[0].Unmap().String(), port))
		}
		var failed *net.DNSError
		if ctx.Err() != nil || errors.As(err, &failed) && failed.IsNotFound {
			return netip.AddrPort{}, fmt.Errorf("endpoint %s: %w", endpoint, err)
		}
		time.Sleep(time.Second)
	}
}
