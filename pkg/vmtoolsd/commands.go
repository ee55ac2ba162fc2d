package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"lkt/shutdown"
	"lkt/vmware/backdoor"
)

const (
	// channelName is the name under which hosts know the main service of the tools.
	channelName = "toolbox"
	// unmanaged is the version of tools that the host does not update, and openTools the type of
	// those that come with the system. vSphere shows them as managed by the guest.
	unmanaged = 0x7fffffff
	openTools = 4
)

// States of the system (GuestOsState of open-vm-tools).
const (
	stateHalt = iota + 1
	stateReboot
	statePowerOn
	stateResume
	stateSuspend
)

// Texts for the host, as open-vm-tools has them.
var (
	errOption = errors.New("Unknown or invalid option")
	errEnding = errors.New("State change already in progress")
)

// command is one that the host may request. It returns the text of the answer.
type command func(a *agent, arguments string) (string, error)

var commands map[string]command

func init() {
	commands = map[string]command{
		"reset":                 reset,
		"ping":                  func(*agent, string) (string, error) { return "", nil },
		"Capabilities_Register": register,
		"Set_Option":            setOption,
		"OS_Halt":               end(stateHalt, shutdown.PowerDown),
		"OS_Reboot":             end(stateReboot, shutdown.Reboot),
		"OS_PowerOn":            changed(statePowerOn),
		"OS_Resume":             changed(stateResume),
		"OS_Suspend":            changed(stateSuspend),
	}
}

// answer returns the answer to a message of the host.
func (a *agent) answer(message []byte) []byte {
	name, arguments, _ := strings.Cut(string(bytes.TrimRight(message, "\x00")), " ")
	do, found := commands[name]
	if !found {
		return []byte("ERROR Unknown Command")
	}
	text, err := do(a, arguments)
	if err != nil {
		return []byte("ERROR " + err.Error())
	}
	return []byte("OK " + text)
}

// ask makes a request whose text the host expects to end with a NUL.
func (a *agent) ask(format string, values ...any) error {
	_, err := backdoor.Ask(a.call, fmt.Sprintf(format, values...)+"\x00")
	return err
}

// reset begins a conversation. Afterwards the host has no facts: it may be another one.
func reset(a *agent, _ string) (string, error) {
	clear(a.sent)
	a.hasAddress = false
	a.reportAt = time.Now()
	return "ATR " + channelName, nil
}

// register tells the host what the agent can do. Hosts refuse what they do not know.
func register(a *agent, _ string) (string, error) {
	// Without the NUL of other requests: open-vm-tools ends this one with a space.
	_, _ = backdoor.Ask(a.call, "tools.capability.statechange ")
	if err := a.ask("tools.set.versiontype %d %d", unmanaged, openTools); err != nil {
		_ = a.ask("tools.set.version %d", unmanaged)
	}
	// The host compares it with the last one, to notice a restart.
	_ = a.ask("SetGuestInfo  %d %d", infoUptime, uptime())
	return "", nil
}

// setOption changes a setting. The agent runs no scripts, so it need not know whether it may.
func setOption(a *agent, arguments string) (string, error) {
	name, value, _ := strings.Cut(arguments, " ")
	if value == "0" || value == "1" {
		switch name {
		case "broadcastIP":
			a.hasAddress = value == "1"
			a.reportAt = time.Now()
			return "", nil
		case "toolScripts.afterPowerOn", "toolScripts.beforePowerOff", "toolScripts.afterResume", "toolScripts.beforeSuspend":
			return "", nil
		}
	}
	return "", errOption
}

// changed returns the command for a change of the machine that needs no action.
func changed(state int) command {
	return func(a *agent, _ string) (string, error) {
		_ = a.ask("tools.os.statechange.status 1 %d", state)
		return "", nil
	}
}

// end returns the command that ends the system.
func end(state int, m shutdown.Mode) command {
	return func(a *agent, _ string) (string, error) {
		if a.isEnding {
			return "", errEnding
		}
		_ = a.ask("tools.os.statechange.status 1 %d", state)
		a.isEnding = true
		return "", a.power(m)
	}
}
