package session

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"syscall"
	"time"

	"lkt/sshd/message"
)

const dialTimeout = 20 * time.Second

// dial connects to a TCP port as the settings and the key permit, and hands over the socket.
func (v *session) dial(m *message.Dial) {
	answer := &message.Dialed{Channel: m.Channel}
	if conn, err := v.connect(m); err == nil {
		answer.OK = true
		_ = v.sendSocket(answer, conn)
		return
	}
	_ = v.speaker.Send(answer)
}

func (v *session) connect(m *message.Dial) (net.Conn, error) {
	destination := net.JoinHostPort(m.Host, strconv.Itoa(int(m.Port)))
	if !v.setup.Settings.Forwarding.Local || m.Port == 0 || m.Port > 65535 || !permits(v.setup.Destinations, m) {
		return nil, message.ErrInvalid
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	return new(net.Dialer).DialContext(ctx, "tcp", destination)
}

// permits reports whether a list of "host:port", with * for all, has the destination.
func permits(destinations []string, m *message.Dial) bool {
	if len(destinations) == 0 {
		return true
	}
	return slices.ContainsFunc(destinations, func(item string) bool {
		host, port, err := net.SplitHostPort(item)
		return err == nil && (host == "*" || host == m.Host) && (port == "*" || port == strconv.Itoa(int(m.Port)))
	})
}

// sendSocket hands a connection to the speaker.
func (v *session) sendSocket(m message.Message, conn net.Conn) error {
	defer conn.Close()
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { _ = v.speaker.Send(m, int(fd)) })
}

// listen listens on a loopback port, and hands each connection to the speaker.
func (v *session) listen(m *message.Listen) error {
	answer := &message.Listening{Channel: m.Channel}
	if !v.setup.Settings.Forwarding.Remote || m.Port > 65535 {
		return v.speaker.Send(answer)
	}
	host := "127.0.0.1"
	if m.Host == "::1" {
		host = m.Host
	}
	socket, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(int(m.Port))))
	if err != nil {
		return v.speaker.Send(answer)
	}
	v.sockets[m.Channel] = socket
	answer.OK, answer.Port = true, uint32(socket.Addr().(*net.TCPAddr).Port)
	if err := v.speaker.Send(answer); err != nil {
		return err
	}
	go func() {
		for {
			conn, err := socket.Accept()
			if err != nil {
				return
			}
			from, err := netip.ParseAddrPort(conn.RemoteAddr().String())
			if err != nil {
				conn.Close()
				continue
			}
			_ = v.sendSocket(&message.Forward{Channel: m.Channel, Host: from.Addr().String(), Port: uint32(from.Port())}, conn)
		}
	}()
	return nil
}
