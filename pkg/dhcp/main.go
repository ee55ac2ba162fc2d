// Command dhcp gets IPv4 addresses for the machine's Ethernet interfaces and keeps them. It is three processes: one holds the packet
// sockets, one decides, one changes the machine. See docs/guest.md.
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
	s, given, err := setup.Given()
	if given {
		os.Exit(play(s, err))
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

// play is one of the three processes.
func play(s setup.Setup, err error) (status int) {
	if err != nil {
		log("error: %v", err)
		return 1
	}
	nameProcess("dhcp-" + s.Role)
	role, err := sandbox.RoleOf(s.Role)
	if err != nil {
		log("error: %v", err)
		return 1
	}
	if s.Role == "actuator" {
		endOnSignal()
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
	// The actuator is the one whose end is looked at. The others end when it does, which is no failure of theirs.
	if err == nil || s.Role != "actuator" && errors.Is(err, channel.ErrClosed) {
		return 0
	}
	log("error: %s: %v", s.Role, err)
	return 1
}

// endOnSignal ends the process well: the machine goes down. The address stays until its lease ends.
func endOnSignal() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		os.Exit(0)
	}()
}

// log writes a line. It needs no more than write(2).
func log(format string, args ...any) {
	_, _ = unix.Write(2, []byte("dhcp: "+fmt.Sprintf(format, args...)+"\n"))
}

func nameProcess(name string) {
	b, err := unix.BytePtrFromString(name)
	if err == nil {
		_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(b)), 0, 0, 0)
	}
}
