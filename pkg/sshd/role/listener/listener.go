// Package listener is the process that accepts connections and bounds their number. It reads
// nothing from them.
package listener

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"lkt/sshd/channel"
	"lkt/sshd/message"
	"lkt/sshd/setup"
)

type accepted struct {
	conn          *net.TCPConn
	remote, local netip.AddrPort
	// announced is whether the monitor knows the connection.
	announced bool
}

type listener struct {
	monitor *channel.Conn
	logins  *logins
	conns   map[uint32]*accepted
	last    uint32
	// queue are the connections that the monitor does not know, the oldest first. It gets one at a
	// time, and none that has ended meanwhile: starting a speaker takes longer than connecting.
	queue []uint32
	busy  bool
}

// Run accepts connections until the monitor ends.
func Run(s setup.Setup, enter func() error) error {
	monitor, err := channel.Open(setup.ListenerMonitor)
	if err != nil {
		return err
	}
	incoming := make(chan *accepted)
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
	l := &listener{monitor: monitor, logins: newLogins(s.Settings.Limits), conns: map[uint32]*accepted{}}
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
			l.add(a)
			err = l.announce()
		case m := <-messages:
			err = l.handle(m)
		case err = <-failed:
		case <-timer.C:
		}
		if err != nil {
			return err
		}
		ended, next := l.logins.Expire(time.Now())
		l.end(ended)
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(time.Until(next))
		}
	}
}

// accept hands over connections. Errors such as a connection that its client has already reset are
// temporary; a pause keeps them from using the processor.
func accept(socket *net.TCPListener, incoming chan<- *accepted) error {
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
		incoming <- &accepted{conn: conn, remote: unmap(remote.AddrPort()), local: unmap(local.AddrPort())}
	}
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func (l *listener) add(a *accepted) {
	l.end(l.logins.Add(l.last, a.remote.Addr(), time.Now()))
	l.conns[l.last] = a
	l.queue = append(l.queue, l.last)
	l.last++
}

// announce hands the next connection over to the monitor, unless that starts a speaker.
func (l *listener) announce() error {
	for !l.busy && len(l.queue) > 0 {
		id := l.queue[0]
		l.queue = l.queue[1:]
		a := l.conns[id]
		raw, err := a.conn.SyscallConn()
		if err != nil {
			return err
		}
		l.busy, a.announced = true, true
		var sendErr error
		err = raw.Control(func(fd uintptr) {
			sendErr = l.monitor.Send(&message.Accepted{ID: id, Remote: a.remote.String(), Local: a.local.String()}, int(fd))
		})
		if err = cmp.Or(err, sendErr); err != nil {
			return err
		}
	}
	return nil
}

func (l *listener) handle(m message.Message) error {
	switch m := m.(type) {
	case *message.Taken:
		l.busy = false
		return l.announce()
	case *message.Authenticated:
		if l.logins.authenticate(m.ID) {
			return l.monitor.Send(m)
		}
		l.end([]uint32{m.ID})
	case *message.Ended:
		l.logins.ended(m.ID)
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

// close shuts a connection down, also for other processes that have its socket. It reports whether
// there are any.
func (l *listener) close(id uint32) bool {
	a, found := l.conns[id]
	if !found {
		return false
	}
	_ = a.conn.CloseRead()
	_ = a.conn.CloseWrite()
	_ = a.conn.Close()
	delete(l.conns, id)
	l.queue = slices.DeleteFunc(l.queue, func(queued uint32) bool { return queued == id })
	return a.announced
}
