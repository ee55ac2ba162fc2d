// Package listener is the process that accepts connections and bounds their number. It reads
// nothing from them.
package listener

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"lkt/sshd/bounds"
	"lkt/sshd/channel"
	"lkt/sshd/message"
	"lkt/sshd/settings"
	"lkt/sshd/setup"
)

type accepted struct {
	conn          *net.TCPConn
	remote, local netip.AddrPort
}

type listener struct {
	monitor *channel.Conn
	table   *bounds.Table
	conns   map[uint32]*net.TCPConn
	last    uint32
}

// Run accepts connections until the monitor ends.
func Run(s setup.Setup, enter func() error) error {
	monitor, err := channel.Open(setup.ListenerMonitor)
	if err != nil {
		return err
	}
	incoming := make(chan accepted)
	failed := make(chan error)
	for i := range s.Sockets {
		file := os.NewFile(uintptr(setup.ListenerSockets+i), "socket")
		socket, err := net.FileListener(file)
		if err != nil {
			return err
		}
		file.Close()
		go func() { failed <- accept(socket.(*net.TCPListener), incoming) }()
	}
	if err := enter(); err != nil {
		return err
	}
	// The monitor must never wait for this process, which may wait for the monitor.
	messages := make(chan message.Message, 4096)
	go func() {
		for {
			m, _, err := monitor.Receive(nil)
			if err != nil {
				failed <- err
				return
			}
			messages <- m
		}
	}()
	l := &listener{monitor: monitor, table: newTable(s.Settings.Limits), conns: map[uint32]*net.TCPConn{}}
	timer := time.NewTimer(time.Hour)
	for {
		for len(messages) > 0 && err == nil {
			err = l.handle(<-messages)
		}
		if err != nil {
			return err
		}
		select {
		case a := <-incoming:
			err = l.add(a)
		case m := <-messages:
			err = l.handle(m)
		case err = <-failed:
		case <-timer.C:
		}
		if err != nil {
			return err
		}
		ended, next := l.table.Expire(time.Now())
		l.end(ended)
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(time.Until(next))
		}
	}
}

func newTable(limits settings.Limits) *bounds.Table {
	return bounds.New(bounds.Limits{
		Unauthenticated: limits.Unauthenticated,
		PerAddress:      limits.UnauthenticatedPerAddress,
		Authenticated:   limits.Connections,
		Time:            time.Duration(limits.AuthenticationSeconds) * time.Second,
	})
}

// accept hands over connections. Errors such as a connection that its client has already reset are
// temporary; a pause keeps them from using the processor.
func accept(socket *net.TCPListener, incoming chan<- accepted) error {
	for failures := 0; ; {
		conn, err := socket.AcceptTCP()
		if err != nil {
			if failures++; failures > 100 {
				return fmt.Errorf("accept: %w", err)
			}
			time.Sleep(100 * time.Millisecond)
			continue
		}
		failures = 0
		remote, remoteOK := conn.RemoteAddr().(*net.TCPAddr)
		local, localOK := conn.LocalAddr().(*net.TCPAddr)
		if !remoteOK || !localOK {
			conn.Close()
			continue
		}
		incoming <- accepted{conn, unmap(remote.AddrPort()), unmap(local.AddrPort())}
	}
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func (l *listener) add(a accepted) error {
	l.end(l.table.Add(l.last, a.remote.Addr(), time.Now()))
	id := l.last
	l.last++
	l.conns[id] = a.conn
	raw, err := a.conn.SyscallConn()
	if err != nil {
		return err
	}
	var sendErr error
	err = raw.Control(func(fd uintptr) {
		sendErr = l.monitor.Send(&message.Accepted{ID: id, Remote: a.remote.String(), Local: a.local.String()}, int(fd))
	})
	if err == nil {
		err = sendErr
	}
	return err
}

func (l *listener) handle(m message.Message) error {
	switch m := m.(type) {
	case *message.Authenticated:
		if l.table.Authenticated(m.ID) {
			return l.monitor.Send(m)
		}
		l.end([]uint32{m.ID})
	case *message.Ended:
		l.table.Ended(m.ID)
		l.close(m.ID)
	}
	return nil
}

// end ends connections: the client sees it at once, and the monitor ends their processes.
func (l *listener) end(ids []uint32) {
	for _, id := range ids {
		if l.close(id) {
			_ = l.monitor.Send(&message.Ended{ID: id})
		}
	}
}

// close shuts a connection down, also for other processes that have its socket.
func (l *listener) close(id uint32) bool {
	conn, found := l.conns[id]
	if found {
		_ = conn.CloseRead()
		_ = conn.CloseWrite()
		_ = conn.Close()
		delete(l.conns, id)
	}
	return found
}
