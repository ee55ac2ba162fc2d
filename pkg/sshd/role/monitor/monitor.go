// Package monitor is the process that starts the others. It reads no byte of a client, and decides
// only two things. It starts a speaker for a connection of the listener, and a session for a login
// that keys has verified.
package monitor

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"lkt/sandbox"
	"lkt/sshd/channel"
	"lkt/sshd/message"
	"lkt/sshd/setup"
	"lkt/sshd/users"
)

type monitor struct {
	setup          setup.Setup
	speaker        sandbox.Role
	listener, keys *channel.Conn
	null           int
	connections    map[uint32]*connection
}

// connection is a connection of a client. session is this end of its speaker's channel until a
// login, or -1. grant is what keys permits, until the listener has a place for the login.
type connection struct {
	remote, local          string
	speakerPID, sessionPID int
	session                int
	grant                  *message.Grant
	user                   string
}

type received struct {
	from    *channel.Conn
	message message.Message
	files   []int
	err     error
}

// Run runs until a process that all connections need ends, or until SIGTERM.
func Run(s setup.Setup, speaker sandbox.Role) error {
	m := &monitor{setup: s, speaker: speaker, connections: map[uint32]*connection{}}
	var err error
	if m.listener, err = channel.Open(s.Listener); err != nil {
		return err
	}
	if m.keys, err = channel.Open(s.Keys); err != nil {
		return err
	}
	if m.null, err = unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
		return err
	}
	children := make(chan os.Signal, 1)
	signal.Notify(children, unix.SIGCHLD)
	ending := make(chan os.Signal, 1)
	signal.Notify(ending, unix.SIGTERM, unix.SIGINT)
	incoming := make(chan received)
	for _, from := range []*channel.Conn{m.listener, m.keys} {
		go receive(from, incoming)
	}
	m.reap()
	for {
		select {
		case r := <-incoming:
			if err := m.handle(r); err != nil {
				return err
			}
		case <-children:
			m.reap()
		case <-ending:
			return nil
		}
	}
}

func receive(from *channel.Conn, incoming chan<- received) {
	for {
		m, files, err := from.Receive(func(m message.Message) int {
			if _, ok := m.(*message.Accepted); ok {
				return 1
			}
			return 0
		})
		incoming <- received{from, m, files, err}
		if err != nil {
			return
		}
	}
}

func (m *monitor) handle(r received) error {
	switch {
	case r.err != nil && r.from == m.listener:
		return fmt.Errorf("the listener ended: %w", r.err)
	case r.err != nil:
		return fmt.Errorf("the process for keys ended: %w", r.err)
	}
	switch v := r.message.(type) {
	case *message.Accepted:
		if r.from == m.listener && m.connections[v.ID] == nil {
			if err := m.accept(v, r.files[0]); err != nil {
				return err
			}
			return m.listener.Send(&message.Taken{})
		}
	case *message.Ended:
		if r.from == m.listener {
			if c := m.connections[v.ID]; c != nil {
				m.kill(c)
			}
			return nil
		}
	case *message.Grant:
		if r.from == m.keys {
			return m.ask(v)
		}
	case *message.Authenticated:
		if r.from == m.listener {
			return m.begin(v.ID)
		}
	}
	channel.CloseAll(r.files)
	return message.ErrInvalid
}

// accept starts a speaker. A failure ends only this connection.
func (m *monitor) accept(v *message.Accepted, socket int) error {
	c := &connection{remote: v.Remote, local: v.Local, session: -1}
	if err := m.start(c, v.ID, socket); err != nil {
		fmt.Fprintf(os.Stderr, "sshd: %s: %v\n", c.remote, err)
		if c.session >= 0 {
			unix.Close(c.session)
		}
		return m.listener.Send(&message.Ended{ID: v.ID})
	}
	m.connections[v.ID] = c
	return nil
}

func (m *monitor) start(c *connection, id uint32, socket int) error {
	defer unix.Close(socket)
	keysEnd, speakerKeys, err := channel.Pair()
	if err != nil {
		return err
	}
	defer unix.Close(keysEnd)
	defer unix.Close(speakerKeys)
	sessionEnd, speakerSession, err := channel.Pair()
	if err != nil {
		return err
	}
	defer unix.Close(speakerSession)
	c.session = sessionEnd
	connect := &message.Connect{ID: id, Remote: c.remote}
	files := []int{keysEnd}
	for _, user := range m.setup.Users {
		connect.Users = append(connect.Users, user.Name)
		files = append(files, openAuthorizedKeys(user, m.null))
	}
	err = m.keys.Send(connect, files...)
	for _, fd := range files[1:] {
		if fd != m.null {
			unix.Close(fd)
		}
	}
	if err != nil {
		return err
	}
	s := setup.Setup{Settings: m.setup.Settings, HostKey: m.setup.HostKey, Remote: c.remote, Local: c.local}
	// Output of a speaker would be a client's text in the log.
	c.speakerPID, err = m.speaker.StartProcess(s, m.null, duplicate(socket), duplicate(speakerKeys), duplicate(speakerSession))
	return err
}

// duplicate returns a copy, which StartProcess closes.
func duplicate(fd int) int {
	copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return -1
	}
	return copied
}

// ask asks the listener for a place for a login.
func (m *monitor) ask(v *message.Grant) error {
	c := m.connections[v.ID]
	if c == nil || c.session < 0 {
		return nil // it has ended meanwhile
	}
	if c.grant != nil {
		return message.ErrInvalid
	}
	c.grant = v
	return m.listener.Send(&message.Authenticated{ID: v.ID})
}

// begin starts the session of a login, which has a place.
func (m *monitor) begin(id uint32) error {
	c := m.connections[id]
	if c == nil || c.session < 0 {
		return nil // it has ended meanwhile
	}
	v := c.grant
	if v == nil {
		return message.ErrInvalid
	}
	c.grant = nil
	var user *users.User
	for i := range m.setup.Users {
		if m.setup.Users[i].Name == v.User {
			user = &m.setup.Users[i]
		}
	}
	if user == nil {
		return message.ErrInvalid
	}
	s := setup.Setup{
		Settings: m.setup.Settings, Remote: c.remote, Local: c.local, User: *user,
		Command: v.Command, Terminal: v.Terminal, Destinations: v.Destinations,
	}
	if !v.Forward {
		s.Settings.Forwarding.Local, s.Settings.Forwarding.Remote = false, false
	}
	extra := uint32(0)
	if user.UID == 0 {
		extra = m.setup.Extra
	}
	pid, err := startSession(s, extra, c.session, m.null)
	unix.Close(c.session)
	c.session = -1
	if err != nil {
		fmt.Fprintf(os.Stderr, "sshd: %s: %v\n", c.remote, err)
		m.kill(c)
		return nil
	}
	c.sessionPID, c.user = pid, user.Name
	fmt.Printf("sshd: %s logs in from %s with %s\n", user.Name, c.remote, v.Key)
	return nil
}

// kill ends the speaker. Its session ends by itself, when its channel does.
func (m *monitor) kill(c *connection) {
	if c.speakerPID != 0 {
		_ = unix.Kill(c.speakerPID, unix.SIGKILL)
	}
}

// reap removes processes that have ended. In a container of its own this is process 1, to which the
// kernel gives what logins left behind.
func (m *monitor) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		for id, c := range m.connections {
			m.ended(id, c, pid, status)
		}
	}
}

func (m *monitor) ended(id uint32, c *connection, pid int, status syscall.WaitStatus) {
	switch pid {
	case c.speakerPID:
		c.speakerPID = 0
		if status.Signaled() && status.Signal() != unix.SIGKILL {
			fmt.Fprintf(os.Stderr, "sshd: %s: the speaker ended by signal: %v\n", c.remote, status.Signal())
		}
		if c.session >= 0 {
			unix.Close(c.session)
			c.session = -1
		}
	case c.sessionPID:
		c.sessionPID = 0
		m.kill(c)
	default:
		return
	}
	if c.speakerPID != 0 || c.sessionPID != 0 {
		return
	}
	if c.user != "" {
		fmt.Printf("sshd: %s from %s logs out\n", c.user, c.remote)
	}
	if c.grant != nil {
		fmt.Fprintf(os.Stderr, "sshd: %s: no login of %s: there is no place for it, or the client left\n", c.remote, c.grant.User)
	}
	delete(m.connections, id)
	_ = m.listener.Send(&message.Ended{ID: id})
}
