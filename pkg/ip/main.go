// Command ip configures addresses, links, routes and WireGuard interfaces. It is three programs in
// one file, selected by name: ip of iproute2, wg of wireguard-tools, and LinuxKit's lk-wg-config.
// See docs/guest.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"lkt/ip/command"
)

func main() {
	name := filepath.Base(os.Args[0])
	var err error
	switch name {
	case "wg":
		err = wg(os.Args[1:])
	case "lk-wg-config":
		err = configure(os.Args[1:])
	default:
		name = "ip"
		var tool *command.Tool
		if tool, err = command.New(os.Stdout); err == nil {
			err = tool.Run(os.Args[1:])
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: error: %v\n", name, err)
		os.Exit(1)
	}
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
