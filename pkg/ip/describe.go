package main

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"lkt/ip/wireguard"
)

// describe returns the status of an interface, without secrets.
func describe(name string, d *wireguard.Device, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "interface: %s\n  public key: %v\n", name, d.PublicKey)
	if d.ListenPort != nil && *d.ListenPort != 0 {
		fmt.Fprintf(&b, "  listening port: %d\n", *d.ListenPort)
	}
	if d.Mark != nil && *d.Mark != 0 {
		fmt.Fprintf(&b, "  fwmark: %#x\n", *d.Mark)
	}
	for _, p := range d.Peers {
		fmt.Fprintf(&b, "\npeer: %v\n", p.PublicKey)
		if p.Endpoint != "" {
			fmt.Fprintf(&b, "  endpoint: %s\n", p.Endpoint)
		}
		fmt.Fprintf(&b, "  allowed ips: %s\n", list(p.AllowedIPs))
		if !p.LastHandshake.IsZero() {
			fmt.Fprintf(&b, "  latest handshake: %v ago\n", now.Sub(p.LastHandshake).Round(time.Second))
		}
		if p.Received+p.Transmit > 0 {
			fmt.Fprintf(&b, "  transfer: %d B received, %d B sent\n", p.Received, p.Transmit)
		}
		if p.Keepalive != nil && *p.Keepalive != 0 {
			fmt.Fprintf(&b, "  persistent keepalive: every %d seconds\n", *p.Keepalive)
		}
	}
	return b.String()
}

func list(prefixes []netip.Prefix) string {
	if len(prefixes) == 0 {
		return "(none)"
	}
	var texts []string
	for _, p := range prefixes {
		texts = append(texts, p.String())
	}
	return strings.Join(texts, ", ")
}
