// Package shutdown shuts the machine down when the host that runs it asks for it. An agent without
// privileges reads the host's messages, and requests a shutdown with one byte. Its launcher, which
// knows only this action, then signals PID 1.
package shutdown

import (
	"errors"
	"fmt"
	"syscall"

	"lkt/sandbox"
)

// Agent is the launcher's connection to the agent.
type Agent struct {
	program  string
	requests sandbox.Conn
}

// Start starts the agent of a program. Its descriptors from 3 are files, and then the connection
// for [Request].
func Start(program string, role sandbox.Role, files ...int) (Agent, error) {
	ours, theirs, err := sandbox.NewPair()
	if err != nil {
		return Agent{}, err
	}
	return Agent{program, ours}, role.Start(struct{}{}, append(files, int(theirs))...)
}

// Request asks the launcher for a shutdown. launcher is the agent's last descriptor.
func Request(launcher sandbox.Conn, m Mode) error { return launcher.Send([]byte{byte(m)}) }

// Obey signals PID 1 as the agent requests. It returns an error when the agent ends, or requests
// anything else.
func (a Agent) Obey() error {
	return a.obey(func(signal syscall.Signal) error { return syscall.Kill(1, signal) })
}

func (a Agent) obey(kill func(syscall.Signal) error) error {
	buffer := make([]byte, sandbox.MaxMessage)
	for {
		request, err := a.requests.Receive(buffer)
		switch {
		case errors.Is(err, sandbox.ErrClosed):
			return errors.New("the agent ended")
		case err != nil:
			return fmt.Errorf("receive from the agent: %w", err)
		}
		mode, found := modes[Mode(request[0])]
		if !found || len(request) != 1 {
			return fmt.Errorf("the agent requested %.80q", request)
		}
		fmt.Printf("%s: the host requests %s\n", a.program, mode.name)
		if err := kill(mode.signal); err != nil {
			return fmt.Errorf("signal PID 1: %w", err)
		}
	}
}
