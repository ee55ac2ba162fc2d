package main

import (
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestOptions(t *testing.T) {
	usual := options{wait: 30 * time.Second, resolv: "/run/resolvconf/resolv.conf", probes: "fast", ipv6: true}
	with := func(change func(*options)) options {
		o := usual
		change(&o)
		return o
	}
	for line, want := range map[string]options{
		"":                               usual,
		"-1":                             with(func(o *options) { o.once = true }),
		"--oneshot eth0":                 with(func(o *options) { o.once, o.names = true, []string{"eth0"} }),
		"-probe rfc5227":                 with(func(o *options) { o.probes = "rfc5227" }),
		"-ipv6=false":                    with(func(o *options) { o.ipv6 = false }),
		"-release -ipv6-mostly":          with(func(o *options) { o.release, o.ipv6Mostly = true, true }),
		"-state /s -hostname /h -ntp /n": with(func(o *options) { o.state, o.hostName, o.timeServers = "/s", "/h", "/n" }),
		"-wait 5s -resolv= -1":           with(func(o *options) { o.once, o.wait, o.resolv = true, 5*time.Second, "" }),
		// The command lines of LinuxKit's examples.
		"--nobackground -f /dhcpcd.conf -1": with(func(o *options) { o.once = true }),
		"--nobackground -f /dhcpcd.conf":    usual,
	} {
		got, err := parseOptions(strings.Fields(line), io.Discard)
		if err != nil || strings.Join(got.names, " ") != strings.Join(want.names, " ") {
			t.Errorf("%q: got %+v, %v", line, got, err)
			continue
		}
		got.names, want.names = nil, nil
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v", line, got)
		}
	}
	for _, line := range []string{"-probe never", "-f /etc/passwd", "-f /none", "--metric 5", "-ipv6=false -ipv6-mostly"} {
		if got, err := parseOptions(strings.Fields(line), io.Discard); err == nil {
			t.Errorf("%q: got %+v", line, got)
		}
	}
}
