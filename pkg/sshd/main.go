// Command sshd is an SSH server of several processes, of which only one for each connection parses
// what a client sends (roles.json). It accepts public keys and certificates, and no passwords.
// Under the name lkt-logs it shows logs: one file is much smaller than two.
package main

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"lkt/logs/command"
	"lkt/sandbox"
	"lkt/sshd/role/keys"
	"lkt/sshd/role/listener"
	"lkt/sshd/role/monitor"
	"lkt/sshd/role/session"
	"lkt/sshd/role/sftp"
	"lkt/sshd/role/speaker"
	"lkt/sshd/setup"
)

const program = "sshd"

//go:embed roles.json
var rolesFile []byte

// init names this process after its role. All of them execute the same file, and the name of a
// process is that of its first thread.
func init() {
	name := filepath.Base(os.Args[0])
	if b, err := unix.BytePtrFromString(name); err == nil {
		_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(b)), 0, 0, 0)
	}
	if name == setup.Monitor {
		// Its threads change their user to start others. The first one, whose user is that of the
		// process, runs the main goroutine alone.
		runtime.LockOSThread()
	}
}

func main() {
	var err error
	switch name := filepath.Base(os.Args[0]); name {
	case "lkt-logs":
		os.Exit(command.Main(os.Args[1:]))
	case setup.Monitor:
		err = runMonitor()
	case setup.Session:
		err = runSession()
	case session.SFTP:
		err = runSFTP()
	default:
		err = run()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "sshd: %v\n", err)
		os.Exit(1)
	}
}

func runMonitor() error {
	roles, err := sandbox.Parse(program, rolesFile)
	if err != nil {
		return err
	}
	s, err := setup.FromEnvironment()
	if err != nil {
		return err
	}
	return monitor.Run(s, roles["speaker"])
}

func runSession() error {
	s, err := setup.FromEnvironment()
	if err != nil {
		return err
	}
	return session.Run(s)
}

func runSFTP() error {
	roles, err := sandbox.Parse(program, rolesFile)
	if err != nil {
		return err
	}
	return sftp.Run(roles["sftp"].Enter)
}

func run() error {
	var s setup.Setup
	roles, role, err := sandbox.Load(program, rolesFile, &s)
	if err != nil {
		return err
	}
	if role == nil {
		return launch(roles, os.Args[1:])
	}
	switch role.Name {
	case "sshd-listener":
		return listener.Run(s, role.Enter)
	case "sshd-keys":
		return keys.Run(s, role.Enter)
	}
	return speaker.Run(s, role.Enter)
}
