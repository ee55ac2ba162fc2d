// Command dhcp obtains IPv4 and IPv6 addresses for Ethernet interfaces and renews them. It runs as
// three processes: wire holds the packet sockets, engine makes the decisions, actuator configures
// the interfaces. See docs/guest.md.
package main

import (
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"lkt/dhcp/role/actuator"
	"lkt/dhcp/role/client"
	"lkt/dhcp/role/wire"
	"lkt/dhcp/setup"
	"lkt/sandbox"
)

//go:embed roles.json
var rolesFile []byte

func main() {
	var s setup.Setup
	roles, role, err := sandbox.Load("dhcp", rolesFile, &s)
	if err != nil {
		fail(err)
	}
	if role != nil {
		os.Exit(runRole(*role, s))
	}
	o, err := parseOptions(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = launch(roles, o)
	}
	fail(err)
}

func fail(err error) {
	log("error: %v", err)
	os.Exit(1)
}

// runRole runs one of the three processes and returns its exit status.
func runRole(role sandbox.Role, s setup.Setup) (status int) {
	name := strings.TrimPrefix(role.Name, "dhcp-")
	if name == "actuator" {
		exitOnSignal(s)
	}
	err := role.Enter()
	if err != nil {
		log("error: %s: %v", name, err)
		return 1
	}
	switch name {
	case "wire":
		err = wire.Run(s, log)
	case "engine":
		err = client.Run(s)
	case "actuator":
		err = actuator.Run(s, log)
	}
	// Only the actuator's exit status matters. The others end when it ends, which is not a failure.
	if err == nil || name != "actuator" && errors.Is(err, sandbox.ErrClosed) {
		return 0
	}
	log("error: %s: %v", name, err)
	return 1
}

// exitOnSignal makes SIGTERM and SIGINT end the process with status 0.
func exitOnSignal(s setup.Setup) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		actuator.Stop(s)
		os.Exit(0)
	}()
}

// log writes a line to standard error. It uses write(2) only.
func log(format string, args ...any) {
	_, _ = unix.Write(2, []byte("dhcp: "+fmt.Sprintf(format, args...)+"\n"))
}
