package session

import (
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lkt/sshd/message"
	"lkt/sshd/settings"
	"lkt/sshd/setup"
	"lkt/sshd/users"
)

func mode(code byte, value uint32) []byte { return binary.BigEndian.AppendUint32([]byte{code}, value) }

func TestModesAreApplied(t *testing.T) {
	master, slave, name, err := openTerminal()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer slave.Close()
	if info, err := os.Stat(name); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		t.Errorf("%s: %v", name, err)
	}
	// ISPEED, VINTR, ECHO off, unknown 200 ends the list, so ICANON stays.
	modes := slices.Concat(mode(128, 38400), mode(1, 7), mode(2, 255), mode(53, 0), mode(91, 1), []byte{200}, mode(51, 0))
	if err := setModes(slave, modes); err != nil {
		t.Fatal(err)
	}
	state, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	if state.Cc[unix.VINTR] != 7 || state.Cc[unix.VQUIT] != 0 || state.Lflag&unix.ECHO != 0 || state.Lflag&unix.ICANON == 0 ||
		state.Cflag&unix.CSIZE != unix.CS8 {
		t.Errorf("%+v", state)
	}
	if err := setSize(slave, message.Size{Columns: 80, Rows: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if size, err := unix.IoctlGetWinsize(int(master.Fd()), unix.TIOCGWINSZ); err != nil || size.Col != 80 || size.Row != 1<<16-1 {
		t.Errorf("%+v, %v", size, err)
	}
}

func FuzzModes(f *testing.F) {
	f.Add(slices.Concat(mode(1, 7), mode(53, 0), []byte{0}))
	f.Fuzz(func(t *testing.T, modes []byte) {
		var state unix.Termios
		applyModes(&state, modes)
	})
}

func newSession() *session {
	return &session{setup: setup.Setup{
		Settings: settings.Default(), Remote: "[2001:db8::1]:5000", Local: "192.0.2.1:22",
		User: users.User{Name: "ann", Home: "/home/ann", Shell: "/bin/sh"},
	}}
}

func TestArgumentsReplaceTheCommand(t *testing.T) {
	v := newSession()
	for _, c := range []struct {
		kind           message.Kind
		command, force string
		want           string
	}{
		{message.Shell, "", "", "/bin/sh: -sh"},
		{message.Exec, "id", "", "/bin/sh: sh -c id"},
		{message.Subsystem, "sftp", "", "/proc/self/exe: internal-sftp"},
		{message.Subsystem, "netconf", "", ""},
		{message.Exec, "id", "date", "/bin/sh: sh -c date"},
		{message.Shell, "", "date", "/bin/sh: sh -c date"},
		{message.Subsystem, "sftp", "date", "/bin/sh: sh -c date"},
		{message.Exec, "id", "internal-sftp", "/proc/self/exe: internal-sftp"},
	} {
		v.setup.Command = c.force
		argv, executable, err := v.arguments(&message.Start{Kind: c.kind, Command: c.command})
		got := executable + ": " + strings.Join(argv, " ")
		if err != nil {
			got = ""
		}
		if got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
	v.setup.Settings.SFTP, v.setup.Command = false, ""
	if _, _, err := v.arguments(&message.Start{Kind: message.Subsystem, Command: "sftp"}); err == nil {
		t.Error("sftp is on")
	}
}

// The speaker checks variables too, but this process trusts no speaker.
func TestEnvironmentHasOnlyAcceptedVariables(t *testing.T) {
	v := newSession()
	got := v.environment(&message.Start{Environment: []string{"LANG=C", "LD_PRELOAD=/tmp/x", "LANG=D", "PATH=/tmp", "LC_ALL"}})
	for _, want := range []string{
		"HOME=/home/ann", "USER=ann", "SHELL=/bin/sh", "LANG=C", "SSH_CONNECTION=2001:db8::1 5000 192.0.2.1 22", "PATH=" + searchPath,
	} {
		if !slices.Contains(got, want) {
			t.Errorf("no %s in %q", want, got)
		}
	}
	for _, wrong := range []string{"LD_PRELOAD=/tmp/x", "LANG=D", "PATH=/tmp"} {
		if slices.Contains(got, wrong) {
			t.Errorf("%s in %q", wrong, got)
		}
	}
}

func TestForwardingReachesOnlyPermittedDestinations(t *testing.T) {
	for _, c := range []struct {
		destinations []string
		host         string
		port         uint32
		want         bool
	}{
		{nil, "db", 1, true}, {[]string{"db:1"}, "db", 1, true}, {[]string{"db:1"}, "db", 2, false}, {[]string{"db:*"}, "db", 2, true},
		{[]string{"*:1"}, "web", 1, true}, {[]string{"[::1]:1"}, "::1", 1, true}, {[]string{"bad"}, "db", 1, false},
	} {
		if got := permits(c.destinations, &message.Dial{Host: c.host, Port: c.port}); got != c.want {
			t.Errorf("%+v", c)
		}
	}
	v := newSession()
	if _, err := v.connect(&message.Dial{Host: "127.0.0.1", Port: 22}); err == nil {
		t.Error("forwards although the settings do not")
	}
}
