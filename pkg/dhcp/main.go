// Command dhcp obtains IPv4 addresses for Ethernet interfaces and renews them. It runs as three
// processes: wire holds the packet sockets, engine makes the decisions, actuator configures the
// interfaces. See docs/guest.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"lkt/dhcp/channel"
	"lkt/dhcp/role/actuator"
	"lkt/dhcp/role/client"
	"lkt/dhcp/role/wire"
	"lkt/dhcp/sandbox"
	"lkt/dhcp/setup"
)

func main() {
	s, found, err := setup.FromEnvironment()
	if found {
		os.Exit(runRole(s, err))
	}
	o, err := parseOptions(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = launch(o)
	}
	log("error: %v", err)
	os.Exit(1)
}

// runRole runs one of the three processes and returns its exit status.
func runRole(s setup.Setup, err error) (status int) {
	if err != nil {
		log("error: %v", err)
		return 1
	}
	nameProcess("dhcp-" + s.Role)
	role, err := sandbox.LookupRole(s.Role)
	if err != nil {
		log("error: %v", err)
		return 1
	}
	if s.Role == "actuator" {
		exitOnSignal()
	}
	if err := role.Enter(); err != nil {
		log("error: %s: %v", s.Role, err)
		return 1
	}
	switch s.Role {
	case "wire":
		err = wire.Run(s, log)
	case "engine":
		err = client.Run(s)
	case "actuator":
		err = actuator.Run(s, log)
	}
	// Only the actuator's exit status matters. The others end when it ends, which is not a failure.
	if err == nil || s.Role != "actuator" && errors.Is(err, channel.ErrClosed) {
		return 0
	}
	log("error: %s: %v", s.Role, err)
	return 1
}

// exitOnSignal makes SIGTERM and SIGINT end the process with status 0. The address stays until its
// lease expires.
func exitOnSignal() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		os.Exit(0)
	}()
}

// log writes a line to standard error. It uses write(2) only.
func log(format string, args ...any) {
	_, _ = unix.Write(2, []byte("dhcp: "+fmt.Sprintf(format, args...)+"\n"))
}

func nameProcess(name string) {
	b, err := unix.BytePtrFromString(name)
	if err == nil {
		_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(b)), 0, 0, 0)
	}
}
