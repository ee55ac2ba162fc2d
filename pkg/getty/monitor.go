package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lkt/sandbox"
	"lkt/sshd/users"
)

// setup is what the processes prompt and password need to know.
type setup struct {
	Host    string            `json:",omitempty"`
	Issue   string            `json:",omitempty"`
	Console string            `json:",omitempty"`
	Hashes  map[string]string `json:",omitempty"`
}

// monitor starts prompts and logins. As PID 1 of the container it also reaps orphans.
type monitor struct {
	roles  sandbox.Roles
	users  []users.User
	hashes map[string]string
	// issue is the greeting before a prompt.
	issue string
	// isOpen means that root logs in without a password.
	isOpen bool
}

// line is a console and the process that has it: a prompt or a shell.
type line struct {
	name    string
	started time.Time
	// verdict is this side of the connection with the process password, while a prompt runs.
	verdict sandbox.Conn
	// isPrompt means that the process is a prompt.
	isPrompt bool
}

// supervise runs a prompt or a shell on every console, and the next one when it exits.
func (m *monitor) supervise(names []string) error {
	running := map[int]*line{}
	begin := func(l *line) error {
		// Limit the rate of restarts.
		time.Sleep(time.Until(l.started.Add(time.Second)))
		l.started = time.Now()
		pid, err := m.begin(l)
		if err != nil {
			return err
		}
		running[pid] = l
		return nil
	}
	for _, name := range names {
		if err := begin(&line{name: name}); err != nil {
			return err
		}
	}
	for {
		pid, err := unix.Wait4(-1, nil, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		l, found := running[pid]
		if !found {
			continue
		}
		delete(running, pid)
		if user, verified := m.verified(l); verified {
			fmt.Printf("getty: login of %s on %s\n", user.Name, l.name)
			pid, err := m.shell(l, user)
			if err == nil {
				running[pid] = l
				continue
			}
			fmt.Fprintf(os.Stderr, "getty: %s: %v\n", user.Shell, err)
		}
		if err := begin(l); err != nil {
			return err
		}
	}
}

// begin starts the first process of a console: a prompt, or, without passwords, the shell of root.
func (m *monitor) begin(l *line) (pid int, err error) {
	if !m.isOpen {
		return m.prompt(l)
	}
	root := slices.IndexFunc(m.users, func(u users.User) bool { return u.UID == 0 })
	if root < 0 {
		return 0, errors.New("the image has no user root")
	}
	return m.shell(l, m.users[root])
}

// prompt starts the processes prompt and password.
func (m *monitor) prompt(l *line) (pid int, err error) {
	tty, err := unix.Open(devices+l.name, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", l.name, err)
	}
	asks, verifies, err := sandbox.NewPair()
	if err != nil {
		return 0, err
	}
	tells, verdict, err := sandbox.NewPair()
	if err != nil {
		return 0, err
	}
	// Each Start closes its files here, and leaves no other open there.
	if err := m.roles["password"].Start(setup{Console: l.name, Hashes: m.hashes}, int(verifies), int(tells)); err != nil {
		return 0, err
	}
	host, err := os.Hostname()
	if err != nil {
		return 0, err
	}
	l.verdict, l.isPrompt = verdict, true
	return m.roles["prompt"].StartProcess(setup{Host: host, Issue: m.issue}, 2, tty, int(asks))
}

// verified returns the user whose password was right, after the end of a prompt.
func (m *monitor) verified(l *line) (user users.User, verified bool) {
	if !l.isPrompt {
		return user, false
	}
	l.isPrompt = false
	defer unix.Close(int(l.verdict))
	var buffer [sandbox.MaxMessage]byte
	n, _, err := unix.Recvfrom(int(l.verdict), buffer[:], unix.MSG_DONTWAIT)
	if err != nil || n == 0 {
		return user, false
	}
	name := string(buffer[:n])
	at := slices.IndexFunc(m.users, func(u users.User) bool { return u.Name == name })
	if at < 0 {
		fmt.Fprintln(os.Stderr, "getty: a user with a password is not in /etc/passwd, or has no shell")
		return user, false
	}
	return m.users[at], true
}

// shell starts the shell of a user on a console, which then belongs to the user.
func (m *monitor) shell(l *line, user users.User) (pid int, err error) {
	tty, err := os.OpenFile(devices+l.name, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return 0, err
	}
	defer tty.Close()
	if err := errors.Join(tty.Chown(int(user.UID), int(user.GID)), tty.Chmod(0o600)); err != nil {
		fmt.Fprintf(os.Stderr, "getty: %v\n", err)
	}
	if m.isOpen {
		// Nothing waits for a console that is stopped.
		_ = unix.SetNonblock(int(tty.Fd()), true)
		_, _ = unix.Write(int(tty.Fd()), []byte(m.issue))
		_ = unix.SetNonblock(int(tty.Fd()), false)
	}
	directory := user.Home
	if info, err := os.Stat(directory); err != nil || !info.IsDir() {
		directory = "/"
	}
	attributes := &syscall.ProcAttr{
		Dir: directory,
		Env: []string{
			"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + user.Home, "SHELL=" + user.Shell, "USER=" + user.Name,
			"LOGNAME=" + user.Name, "TERM=" + terminal(l.name),
		},
		Files: []uintptr{tty.Fd(), tty.Fd(), tty.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0},
	}
	if user.UID != 0 {
		attributes.Sys.Credential = &syscall.Credential{Uid: user.UID, Gid: user.GID, Groups: user.AllGroups()}
	}
	// A login shell has a hyphen before its name.
	return syscall.ForkExec(user.Shell, []string{"-" + strings.TrimPrefix(path.Base(user.Shell), "-")}, attributes)
}
